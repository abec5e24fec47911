#!/bin/sh
# Installs what a set of tasks needs on Debian or Ubuntu, and only what is missing.
#   deploy/setup.sh build          to compile: a C compiler and cmake (zlib-ng and ring are C)
#   deploy/setup.sh build test     and to test: browsers and their drivers, certutil, openssl, curl, Python, Node.js, npm,
#                                  nginx, Apache, Tomcat, PHP, DokuWiki, and programs that attack servers
#   deploy/setup.sh build bench    and to benchmark: nginx and HAProxy as peers
set -eu
# Servers lie there, and people who are not root do not look there.
PATH="$PATH:/usr/sbin:/sbin"

missing=""
# need COMMAND PACKAGE
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }

for task in "$@"; do
	case "$task" in
	build)
		need cc gcc
		need c++ g++
		need cmake cmake
		need make make
		;;
	test)
		need chromium chromium
		need chromedriver chromium-driver
		need WebKitWebDriver webkit2gtk-driver
		need Xvfb xvfb
		# WebKit with a certificate in hand, for tests/e2e/enrolment_foreign.rs.
		/usr/bin/python3 -c 'import gi; gi.require_version("WebKit2", "4.1")' 2>/dev/null || missing="$missing python3-gi gir1.2-webkit2-4.1"
		need certutil libnss3-tools
		need openssl openssl
		# An EST client for tests/e2e/enrolment_foreign.rs, with the plugin by which it reaches servers.
		need pki strongswan-pki
		ls /usr/lib/ipsec/plugins/libstrongswan-curl.so >/dev/null 2>&1 || missing="$missing libstrongswan-extra-plugins"
		need curl curl
		need slowhttptest slowhttptest
		need sslscan sslscan
		need python3 python3
		python3 -c 'import ensurepip' >/dev/null 2>&1 || missing="$missing python3-venv"
		# For the identity provider that tests/e2e/oidc_foreign.rs installs; 18 or newer.
		need node nodejs
		need npm npm
		# For tests/e2e/bypass. Of Apache and Tomcat the packages without a service, which would take a port of this machine.
		need nginx nginx-light
		need apache2 apache2-bin
		need java default-jre-headless
		[ -e /usr/share/tomcat10/bin/bootstrap.jar ] || [ -e /usr/share/tomcat9/bin/bootstrap.jar ] ||
			missing="$missing tomcat10-common|tomcat9-common"
		# The wiki of tests/e2e/strangers and what serves it. PHP comes before it, lest apt brings Apache for it.
		need php-cgi php-cgi
		[ -e /usr/share/dokuwiki/doku.php ] || missing="$missing dokuwiki"
		[ -n "$(find /usr/share/fonts -iname '*cjk*' -print -quit 2>/dev/null)" ] || missing="$missing fonts-noto-cjk"
		;;
	bench)
		need nginx nginx-light
		need haproxy haproxy
		need taskset util-linux
		;;
	*)
		echo "setup.sh: '$task' is not one of: build test bench" >&2
		exit 2
		;;
	esac
done

[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
	echo "setup.sh: please install:$missing (this script can do it on Debian and Ubuntu only)" >&2
	exit 2
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# `A|B`: whichever this release has.
packages=""
for package in $missing; do
	first=${package%%|*}
	if apt-cache show "$first" >/dev/null 2>&1; then packages="$packages $first"; else packages="$packages ${package##*|}"; fi
done
# shellcheck disable=SC2086 # a list of package names
$sudo apt-get install -y -qq --no-install-recommends $packages >/dev/null
