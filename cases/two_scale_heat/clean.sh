#!/usr/bin/env bash
set -e -u
cd "$(dirname "$0")"
rm -rf results precice-run precice-profiling precice-exports profiling.json trace.json
rm -rf */precice-profiling */precice-exports */precice-*.log */precice-run precice-*.log
