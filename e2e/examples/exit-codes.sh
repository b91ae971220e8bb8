#!/bin/sh
# What a script does when nobody has signed in.
token=$(hubkey token lab-api) || case $? in
  3) echo "sign in first: the link is above" >&2; exit 3 ;;
  4) echo "try again later" >&2; exit 4 ;;
  *) exit 1 ;;
esac
curl --silent --show-error --fail --header "Authorization: Bearer $token" "$LAB_API/projects"
