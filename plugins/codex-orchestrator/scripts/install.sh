#!/bin/sh
# Installs what the plugin needs, with this machine's own package managers: tmux, codex-agent, Codex; then looks at
# the login. Says each command before it runs it, leaves alone what is there already, and touches no settings, no
# shell profile and no login. May be run any number of times.
set -uf

usage() {
    cat <<END
Usage: install.sh [--dry-run] [--from WHERE]

  --dry-run     Only say what would be done.
  --from WHERE  Where codex-agent comes from: a checkout of it, or anything pip installs
                [default: the checkout this plugin came in].

Exit 0: everything is there; 2: wrong call; 5: something could not be installed, or is left to you.
END
}

dry=
from=
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry=1 ;;
        --from) [ $# -gt 1 ] && [ -n "$2" ] || { usage >&2; exit 2; }; from=$2; shift ;;
        -h | --help) usage; exit 0 ;;
        *) echo "install.sh: it does not take '$1'." >&2; usage >&2; exit 2 ;;
    esac
    shift
done

plugin=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P) || exit 5
version=$(sed -n 's/^ *"version": "\([^"]*\)".*/\1/p' "$plugin/.claude-plugin/plugin.json")
home=${HOME:?install.sh: HOME is not set}
bin=$home/.local/bin
venv=${XDG_DATA_HOME:-$home/.local/share}/codex-agent/venv
left= # what could not be done, a line each
export DEBIAN_FRONTEND=noninteractive # or apt-get may ask

say() { printf '%s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }
leave() { left="$left  $*
"; }

# A command as a person would type it.
words() {
    for word in "$@"; do
        case $word in
            '' | *[!A-Za-z0-9_@%+=:,./-]*) printf " '%s'" "$(printf %s "$word" | sed "s/'/'\\\\''/g")" ;;
            *) printf ' %s' "$word" ;;
        esac
    done
}

# Says a command and runs it; with --dry-run says it only.
run() {
    say "  +$(words "$@")"
    [ -n "$dry" ] || "$@" </dev/null
}

# Installs system packages with the first manager that may be used: brew without root, the others with root or with
# a sudo that asks nothing. Otherwise leaves the command to the user.
packages() {
    manager=
    for each in apt-get dnf yum apk pacman zypper brew; do
        has "$each" || continue
        if [ "$each" = brew ]; then
            [ "$user" != 0 ] || continue # it refuses root
        elif [ "$user" != 0 ] && [ -z "$sudo" ]; then
            manager=${manager:-$each} # for a person to run
            continue
        fi
        manager=$each
        break
    done
    case $manager in
        '') leave "install $*, the way this machine does"; return 1 ;;
        apt-get) set -- apt-get install -y --no-install-recommends "$@" ;;
        apk) set -- apk add "$@" ;;
        pacman) set -- pacman -S --noconfirm --needed "$@" ;;
        zypper) set -- zypper --non-interactive install "$@" ;;
        *) set -- "$manager" install $([ "$manager" = brew ] || echo -y) "$@" ;;
    esac
    if [ "$manager" != brew ] && [ "$user" != 0 ]; then
        [ -n "$sudo" ] || { leave "sudo$(words "$@")"; return 1; }
        set -- sudo -n "$@"
    fi
    run "$@" && return
    # A fresh image knows no packages until the lists are fetched.
    if [ "$manager" = apt-get ]; then
        case $1 in sudo) run sudo -n apt-get update ;; *) run apt-get update ;; esac
        run "$@" && return
    fi
    leave "$(words "$@" | sed 's/^ //')   (it failed; its own words are above)"
    return 1
}

# -- what is here ---------------------------------------------------------------------------------------

tmux_fits() { # 3.2 or newer, a development version among them
    has tmux && tmux -V 2>/dev/null |
        awk '{ sub(/^next-/, "", $2); split($2, v, "."); exit !($2 == "master" || v[1] > 3 || (v[1] == 3 && v[2] + 0 >= 2)) }'
}

# Sets `python` to one that codex-agent can use.
find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && return
    done
    python=
    return 1
}

# Sets `source` to what codex-agent is installed from.
find_source() {
    source=$from
    [ -z "$source" ] || return 0
    # Beside the plugin in its checkout; in Claude Code's clone of the marketplace; where a local marketplace lies.
    place=$(cat "$plugin/../../../../known_marketplaces.json" 2>/dev/null | tr -d '\n' |
        sed -n 's/.*"codex-agent" *: *{ *"source"[^}]*} *, *"installLocation" *: *"\([^"]*\)".*/\1/p')
    for source in "$plugin/../.." "$plugin/../../../../marketplaces/codex-agent" "$place"; do
        grep -qs '^name = "codex-agent"' "$source/pyproject.toml" && source=$(CDPATH='' cd -- "$source" && pwd -P) && return
    done
    source=
    return 1
}

# The version of the codex-agent that the plugin would use; empty if there is none.
installed() { "$plugin/bin/codex-agent" --version 2>/dev/null | sed -n 's/^codex-agent \([0-9][0-9.]*\).*/\1/p'; }

# Whether it can be an MCP server: with nothing on stdin one ends at once, and well.
serves() { "$plugin/bin/codex-agent" mcp </dev/null >/dev/null 2>&1; }

# Whether version $1 is older than $2.
older() {
    [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -t . -k 1,1n -k 2,2n -k 3,3n | head -n 1)" = "$1" ]
}

has_codex() { # on PATH, in a Python package, in an editor's extension: codex-agent knows where to look
    has codex || "$plugin/bin/codex-agent" health --json 2>/dev/null | grep -q '"name": "codex", "ok": true'
}

# -- the steps ------------------------------------------------------------------------------------------

user=$(id -u)
sudo=
[ "$user" = 0 ] || { has sudo && sudo -n true 2>/dev/null && sudo=1; }
has uv || [ ! -x "$bin/uv" ] || PATH=$PATH:$bin

get_tmux() {
    if tmux_fits; then say "tmux: there, $(tmux -V)"; return; fi
    say "tmux: $(has tmux && tmux -V || echo none) is here; 3.2 or newer is needed"
    packages tmux || return
    [ -n "$dry" ] || tmux_fits || leave "tmux 3.2 or newer: the package manager has an older one"
}

get_agent() {
    have=$(installed)
    if [ -n "$have" ] && [ -z "$from" ] && ! older "$have" "$version"; then
        if serves; then say "codex-agent: there, $have"; return; fi
        say "codex-agent: $have is here, without what its MCP server needs"
    else
        say "codex-agent: ${have:-none} is here; this plugin comes with $version"
    fi
    if ! find_source; then leave "a checkout of codex-agent, and then: install.sh --from CHECKOUT"; return; fi
    extras=mcp
    # Where nothing else can bring Codex, the Python package that holds it does.
    has_codex || has npm || has brew || extras=mcp,codex
    wanted="$source[$extras]"
    if has uv; then
        run uv tool install --force --python '>=3.11' "$wanted" || { leave "codex-agent: uv failed; see above"; return; }
    elif has pipx; then
        find_python && set -- --python "$python"
        run pipx install --force "$@" "$wanted" || { leave "codex-agent: pipx failed; see above"; return; }
    else
        find_python || packages python3 || return
        if [ -z "$dry" ] && ! find_python; then leave "Python 3.11 or newer: the package manager has an older one"; return; fi
        # Debian and its children pack venv separately.
        if [ -n "$python" ] && ! "$python" -I -c 'import ensurepip' 2>/dev/null; then
            packages "$("$python" -I -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" || return
        fi
        run "${python:-python3}" -m venv "$venv" && run "$venv/bin/python" -m pip install --quiet --upgrade "$wanted" &&
            run mkdir -p "$bin" && run ln -sf "$venv/bin/codex-agent" "$bin/codex-agent" ||
            { leave "codex-agent: pip failed; see above"; return; }
    fi
    [ -n "$dry" ] || serves || leave "codex-agent was installed and does not run; it says why: codex-agent mcp </dev/null"
}

get_codex() {
    if has_codex; then say "codex: there"; return; fi
    say "codex: not here"
    if has npm; then
        place=$(npm config get prefix 2>/dev/null)
        if [ -w "$place/lib/node_modules" ] || { [ ! -e "$place/lib/node_modules" ] && [ -w "$place" ]; }; then
            run npm install --global @openai/codex
        else
            place=$home/.local
            run npm install --global --prefix "$place" @openai/codex
        fi || { leave "codex: npm failed; see above"; return; }
        [ -n "$dry" ] || has_codex || leave "codex is in $place/bin: put that on PATH"
    elif has brew && [ "$user" != 0 ]; then
        run brew install --cask codex || leave "codex: brew failed; see above"
    elif [ -n "$dry" ]; then
        say "  (it comes with codex-agent, as a Python package)"
    else
        leave "codex: neither npm nor brew is here; as a Python package: install.sh --from ${source:-CHECKOUT}"
    fi
}

say_login() {
    [ -z "$dry" ] || return
    codex=$(PATH=$PATH:$bin command -v codex) || return
    if "$codex" login status >/dev/null 2>&1; then
        say "login: there"
    elif [ -n "${CODEX_API_KEY-}" ]; then
        say "login: CODEX_API_KEY is set"
    else
        has codex && codex=codex
        say "login: Codex is not logged in. That is yours to do:$(words "$codex" login)"
    fi
}

get_tmux
get_agent
get_codex
say_login
case :$PATH: in
    *":$bin:"*) ;;
    *) say "PATH: $bin is not on it. The plugin looks there too; your own shell does not." ;;
esac
if [ -n "$left" ]; then
    say "left to you:"
    printf %s "$left"
    exit 5
fi
[ -n "$dry" ] && say "Nothing was changed." || say "Ready. codex-agent health has the details."
