# shellcheck shell=sh
# Reads a file of settings as systemd's EnvironmentFile= does for the services.  Who takes this in has a fail().

# Export what the file $1 sets; nothing in it is run.
export_env_file() {
    env_file=$1
    while IFS= read -r line || [ -n "$line" ]; do export_line "$line"; done <"$env_file"
}

export_line() {
    line=$(printf %s "$1" |
        sed 's/^[[:space:]]*//; s/[[:space:]]*$//; s/^\([A-Za-z0-9_]*\)[[:space:]]*=[[:space:]]*/\1=/')
    case $line in '' | '#'* | ';'*) return ;; esac
    setting=${line%%=*} value=${line#*=}
    case $setting in
        "$line" | '' | [0-9]* | *[!A-Za-z0-9_]*) fail "$env_file has a line that is not NAME=VALUE: $setting" ;;
    esac
    case $value in
        \'*\'*\' | \"*\"*\") unclear ;;
        \'*\') value=${value#?} value=${value%?} ;;
        *\\*) unclear ;;
        \"*\") value=${value#?} value=${value%?} ;;
        [\'\"]*) unclear ;;
    esac
    export "$setting=$value"
}

# systemd would go on with these by rules that nobody remembers.
unclear() { fail "$setting in $env_file: put it in single quotes, on one line, with none inside."; }
