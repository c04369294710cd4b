#!/bin/sh
# Stands for a Python with pip: answers with the report and the wheels that lie beside it.
PATH=/usr/bin:/bin
[ "$1" = -c ] || exit 2
shift 2
echo "$1" >> "HOME_OF_PIP/runs"
if [ "$1" = --version ]; then
    echo "pip 24.0 from here (python 3.13)"
    exit 0
fi
if [ -f "HOME_OF_PIP/complaint" ]; then
    cat "HOME_OF_PIP/complaint" >&2
    exit 1
fi
while [ $# -gt 0 ]; do
    case "$1" in
    --report) cp "HOME_OF_PIP/report.json" "$2" ;;
    --dest) cp "HOME_OF_PIP/wheels/"*.whl "$2" ;;
    esac
    shift
done
