#!/bin/sh
# A token without the command `hubkey`: of a connection that exists, or the link on standard error and exit code 3.
# The server's token reaches curl by standard input, so that it is on no command line.
set -eu
answer=$(printf 'Authorization: Bearer %s\n' "$JUPYTERHUB_API_TOKEN" |
  curl --silent --show-error --header @- --header "Content-Type: application/json" \
    --data "{\"provider\": \"$1\"}" "$HUBKEY_URL/v1/sign-ins")
value() { printf '%s' "$answer" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
token=$(value access_token)
if [ -n "$token" ]; then
  printf '%s\n' "$token"
  exit 0
fi
link=$(value sign_in_url)
if [ -n "$link" ]; then
  printf 'Sign in, then run this again: %s\n' "$link" >&2
  exit 3
fi
printf '%s\n' "$answer" >&2
exit 1
