#!/bin/sh
# Says what must be installed before `make deps` can work, everything at once, and how.
# Usage: check.sh PYTHON
python=$1
missing=

need() { # need WORDS PACKAGES-OF-DEBIAN
	echo "deps: missing: $1" >&2
	missing="$missing $2"
}

case "$(uname -s) $(uname -m)" in
"Linux x86_64") ;;
*)
	echo "deps: libtorch 2.1.2 comes for Linux on x86-64 only; this is $(uname -s) on $(uname -m). A container does (docker run --platform linux/amd64)." >&2
	exit 1
	;;
esac

command -v go >/dev/null || need "Go 1.21 or newer (https://go.dev/dl); it fetches the version in go.mod itself" ""
command -v g++ >/dev/null || command -v "${CXX:-g++}" >/dev/null || need "a C++ compiler (g++)" g++
if ! command -v "$python" >/dev/null; then
	need "python3 (to download only; another one: make PYTHON=/path/to/python3)" "python3 python3-pip"
elif ! "$python" -m pip --version >/dev/null 2>&1; then
	need "pip for $(command -v "$python")" python3-pip
fi

if [ -n "$missing" ]; then
	echo "deps: on Debian or Ubuntu: apt-get install$missing" >&2
	echo "deps: on Fedora: dnf install$(echo "$missing" | sed 's/g++/gcc-c++/')" >&2
fi
command -v go >/dev/null && [ -z "$missing" ]
