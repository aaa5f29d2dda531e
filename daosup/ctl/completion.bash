# bash completion for daosupctl and daosupd. The programs themselves know what can come next (daosup/completing.py).

_daosup() {
    local IFS=$' \t\n' program=$1 line=${COMP_LINE:0:COMP_POINT} typed breaks=${COMP_WORDBREAKS//[^:=]/} value
    local -a words
    COMPREPLY=()
    [[ $program != '~'/* ]] || program=$HOME/${program#*/}

    # COMP_WORDS has rts:wfs as three words; here they are as they were typed.
    read -ra words <<<"$line"
    [[ $line != *[[:blank:]] ]] || words+=("")
    typed=${words[${#words[@]} - 1]}
    if [[ $typed == [\"\']* ]]; then
        typed=${typed:1} breaks=
    fi
    words[${#words[@]} - 1]=$typed

    while IFS=$'\t' read -r value _; do
        if [[ $value == :files ]]; then
            compopt -o default 2>/dev/null
        elif [[ $value == "$typed"* ]]; then
            # What is before the last break is not replaced.
            [[ -z $breaks ]] || value=${value#"${typed%"${typed##*["$breaks"]}"}"}
            COMPREPLY+=("$value")
        fi
    done < <("$program" __complete "${words[@]:1}" 2>/dev/null)
}

complete -F _daosup daosupctl daosupd
