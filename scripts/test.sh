#!/usr/bin/env bash
# Runs every test. The GPU kernels are tested on whatever Vulkan driver there is; where there is
# none, this installs Mesa's software driver (as root on Debian or Ubuntu) or says which tests are left
# out. The same holds for Chromium, in which the pages of reports are looked at.
# Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin" # where Debian keeps ldconfig

have() { command -v "$1" >/dev/null 2>&1; }

has_vulkan() {
    ldconfig -p 2>/dev/null | grep -q libvulkan.so.1 || return 1
    local folder
    for folder in /usr/share/vulkan/icd.d /etc/vulkan/icd.d /usr/local/share/vulkan/icd.d; do
        ls "$folder"/*.json >/dev/null 2>&1 && return 0
    done
    [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]
}

has_browser() {
    [ -n "${CHROME:-}" ] || have google-chrome-stable || have chromium || have chromium-browser ||
        have chrome || [ -d "/Applications/Google Chrome.app" ]
}

packages=()
has_vulkan || packages+=(libvulkan1 mesa-vulkan-drivers)
have cc || packages+=(gcc libc6-dev)

install() {
    echo "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if [ "$(uname -s)" = Linux ] && have apt-get && [ "$(id -u)" = 0 ]; then
    [ ${#packages[@]} = 0 ] || install "${packages[@]}"
    # Ubuntu has no such package; there the test of the pages is left out.
    has_browser || install chromium || true
fi

if ! have cargo; then
    echo "Rust is not installed: see https://rustup.rs (version 1.89 or later)" >&2
    exit 1
fi
if ! have cc && ! have gcc && ! have clang; then
    echo "a C compiler is not installed (Debian: apt-get install gcc libc6-dev)" >&2
    exit 1
fi

# Mesa complains on every start where there is no session.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$(mktemp -d)}"
if [ "$(uname -s)" != Linux ] || has_vulkan; then
    export DALENET_REQUIRE_GPU=1
else
    cat >&2 <<'TEXT'
No Vulkan driver was found, and none can be installed without root. These tests will not run:
    conductance_gpu, gpu, gpu_faults of tests/suite, and the GPU parts of its others
To run them: apt-get install libvulkan1 mesa-vulkan-drivers (Debian, Ubuntu), or your GPU's driver.
TEXT
fi
if has_browser; then
    export DALENET_REQUIRE_BROWSER=1
else
    cat >&2 <<'TEXT'
No Chromium was found, and none can be installed without root. This test will not run:
    report_browser of tests/suite
To run it: apt-get install chromium (Debian), or install Chrome, or name one in CHROME.
TEXT
fi
exec cargo test --release "$@"
