"""``python -m daosup.ctl`` is daosupctl."""

from daosup.ctl import main

raise SystemExit(main())
