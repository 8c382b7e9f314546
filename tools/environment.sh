# Sourced by quickstart and runtests: a virtual environment with this checkout installed in it.
#
#   environment NAME EXTRA    sets $bin to the folder with the commands; NAME complains when it cannot
#
# PYTHON names the interpreter, PYQMAIL_VENV the environment's folder.  When root runs this, other
# users will run the commands too, so an interpreter or a checkout that only root can reach is avoided, and
# what is made here is readable whatever root's umask is.

# Whether every user can reach $1.
reachable() {
    [ "$(id -u)" != 0 ] && return 0
    place=$(readlink -f "$1") || return 1
    while [ "$place" != / ]; do
        case $(stat -c %A "$place") in *x|*t) ;; *) return 1 ;; esac
        place=$(dirname "$place")
    done
}

# Whether $1 is a Python that is new enough.
new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    found=
    for python in ${PYTHON-python3 python3.13 python3.12 python3.11 /usr/local/bin/python3 /usr/bin/python3}; do
        new_enough "$python" || continue
        found=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')
        reachable "$found" && return 0
    done
    return 1
}

environment() {
    find_python || {
        echo "$1: needs Python 3.11 or newer${found:+ that every user can run, unlike $found} (PYTHON=... names it)" >&2
        return 111
    }
    venv=${PYQMAIL_VENV-$top/.venv}
    editable=-e
    if ! reachable "$top"; then
        venv=${PYQMAIL_VENV-/var/lib/pyqmail/venv-$(echo "$top" | cksum | cut -d' ' -f1)}
        editable=
    fi
    bin=$venv/bin
    [ "$(id -u)" = 0 ] && umask 022
    if [ ! -x "$bin/python3" ]; then
        "$python" -c 'import venv, ensurepip' 2>/dev/null ||
            { echo "$1: $python lacks the venv module (Debian: apt-get install python3-venv)" >&2; return 111; }
        mkdir -p "$(dirname "$venv")" && "$python" -m venv "$venv" ||
            { echo "$1: cannot make the environment $venv" >&2; return 111; }
    fi
    stamp=$(cd "$top" && { echo "$2 $editable $(pwd)"; cat setup.cfg pyproject.toml setup.py tools/manual.py
            [ -n "$editable" ] || find supervise ucspi mta tools service -name '*.pyc' -o -type f -exec cat {} +; } | cksum)
    [ "$stamp" = "$(cat "$venv/stamp.$2" 2>/dev/null)" ] && return 0
    echo "$1: installing into $venv, which takes a moment" >&2
    [ -n "$editable" ] && set -- "$@" -e
    "$bin/python3" -m pip install -q --disable-pip-version-check ${3+--config-settings editable_mode=compat -e} \
            "$top[$2]" >"$venv/install.log" 2>&1 ||
        { echo "$1: cannot install: $(grep -i error "$venv/install.log" | head -n 1) (all of it: $venv/install.log)" >&2; return 111; }
    echo "$stamp" >"$venv/stamp.$2"
}
