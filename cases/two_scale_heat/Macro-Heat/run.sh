#!/usr/bin/env bash
set -e -u
cd "$(dirname "$0")" && scalespan run .. --participant Macro-Heat "$@"
