#compdef daosupctl daosupd
# zsh completion for daosupctl and daosupd. The programs themselves know what can come next (daosup/completing.py).

_daosupctl() {
    local line
    local -a offered
    for line in "${(@f)$(${~words[1]} __complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        if [[ $line == :files ]]; then
            compset -P '--*='
            _files
            return
        fi
        # _describe takes WORD:WHAT IT IS.
        [[ -z $line ]] || offered+=("${${line%%$'\t'*}//:/\\:}:${${line#*$'\t'}#${line}}")
    done
    _describe -V 'daosup' offered
}

# Read as a file of $fpath, it is the function; read by source, it is only made known.
if [[ $funcstack[1] == _daosupctl ]]; then
    _daosupctl "$@"
else
    compdef _daosupctl daosupctl daosupd
fi
