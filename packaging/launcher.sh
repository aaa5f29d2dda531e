#!/bin/sh
# Runs @PROGRAM@ with the newest Python of this machine that daosup has libraries for.
#
# Each of these folders is a virtual environment of one Python: it finds its libraries by where it is started from, not
# by variables, so nothing of this reaches the programs that it starts.
for minor in @MINORS@; do
    home=/usr/lib/daosup/python3.$minor
    if [ -x "$home/bin/python3" ]; then
        exec "$home/bin/python3" @ARGUMENTS@"$@"
    fi
done
echo "@PROGRAM@: there is none of @PYTHONS@; install one of these," \
    "e.g. by 'apt-get install python3' or 'dnf install python3.11'" >&2
exit 69
