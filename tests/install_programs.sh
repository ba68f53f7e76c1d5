#!/bin/sh
# What the tests need besides Python packages: a Chromium, a Korean font for its screenshots and
# PostgreSQL's server programs. Takes what is there; installs from the system's packages on
# Debian and Ubuntu as root; else lets Playwright download its browser; else says what to do.
# Usage: install_programs.sh PYTHON
set -eu
python=$1

have_browser() {
    command -v chromium || command -v chromium-browser || command -v google-chrome || "$python" - <<'PY'
import pathlib, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    sys.exit(not pathlib.Path(playwright.chromium.executable_path).exists())
PY
}

have_korean_font() {
    [ -n "$(fc-list :lang=ko family)" ]
}

have_postgres() {
    command -v initdb || ls /usr/lib/postgresql/*/bin/initdb
}

missing=
have_browser >/dev/null 2>&1 || missing=" chromium"
have_korean_font >/dev/null 2>&1 || missing="$missing fonts-nanum"
have_postgres >/dev/null 2>&1 || missing="$missing postgresql"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing for the tests:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
elif [ "${missing#*chromium}" != "$missing" ] && ! "$python" -m playwright install chromium; then
    echo "The browser tests need Chromium, and Playwright could not download one." >&2
    echo "Install it (Debian, Ubuntu: sudo apt-get install$missing) and try again." >&2
    exit 1
fi
have_postgres >/dev/null 2>&1 || echo "Without PostgreSQL's initdb its tests are skipped." >&2
