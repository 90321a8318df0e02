# Sourced by the other scripts: makes .venv where there is none and installs the package into it.
# prepare_environment [EXTRA] -- EXTRA is a set of optional dependencies, such as "test".

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3 python; do
        if [[ -n $candidate ]] && command -v "$candidate" > /dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "protdiff needs Python 3.11 or newer, which is not on the PATH; set PYTHON to one" >&2
    return 1
}

prepare_environment() {
    local extra=${1:-} target="." probe="import protdiff.model, protdiff.cli" stamp
    if [[ -n $extra ]]; then
        target=".[$extra]"
    fi
    case $extra in
        test)
            probe+=", pytest, pytest_timeout, hypothesis, gemmi, tmtools, ruff, mypy"
            probe+=", jinja2, matplotlib, py3Dmol"
            ;;
        docs) probe+=", sphinx, myst_parser, furo, sphinx_copybutton" ;;
    esac
    if [[ ! -x .venv/bin/python ]]; then
        local python
        python=$(find_python)
        echo "making .venv with $python" >&2
        "$python" -m venv .venv
    fi
    # What was installed for this state of the requirements need not be installed again.
    stamp=".venv/protdiff-${extra:-base}-$(cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)"
    [[ -e $stamp ]] && return
    # A .venv made by hand with all that is needed is taken as it is, so that no network is needed.
    if ! .venv/bin/python -c "$probe" 2> /dev/null; then
        echo "installing protdiff and what it needs into .venv" >&2
        .venv/bin/python -m pip install --quiet --disable-pip-version-check \
            --constraint constraints.txt --editable "$target"
    fi
    touch "$stamp"
}
