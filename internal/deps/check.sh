#!/bin/sh
# Says what must be installed before `make deps` can work, everything at once, and how.
# Usage: check.sh PYTHON
python=$1
found=yes
packages=

need() { # need WORDS [PACKAGES-OF-DEBIAN]
	echo "deps: missing: $1" >&2
	found=no
	packages="$packages${2:+ $2}"
}

have() { command -v "$1" >/dev/null 2>&1; }

case "$(uname -s) $(uname -m)" in
"Linux x86_64") ;;
*)
	echo "deps: libtorch 2.1.2 comes for Linux on x86-64 only; this is $(uname -s) on $(uname -m). A container does (docker run --platform linux/amd64)." >&2
	exit 1
	;;
esac

have go || need "Go 1.21 or newer (https://go.dev/dl); it fetches the version in go.mod itself"
have "${CXX:-g++}" || need "a C++ compiler (${CXX:-g++})" g++
if ! have "$python"; then
	need "python3 (to download only; another one: make PYTHON=/path/to/python3)" "python3 python3-pip"
elif ! "$python" -m pip --version >/dev/null 2>&1; then
	need "pip for $(command -v "$python")" python3-pip
fi

if [ -n "$packages" ]; then
	echo "deps: on Debian or Ubuntu: apt-get install$packages" >&2
	echo "deps: on Fedora: dnf install$(echo "$packages" | sed 's/g++/gcc-c++/')" >&2
fi
[ "$found" = yes ]
