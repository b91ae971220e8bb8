#!/bin/sh
# Calls an API with a token that is on no command line.
set -eu
hubkey header lab-api --for "$LAB_API" | curl --silent --show-error --fail --header @- "$LAB_API/projects"
