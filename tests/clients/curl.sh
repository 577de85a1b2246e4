#!/usr/bin/env bash
# curl, as a shell script uses it: all uploads in one run, so that they share a connection. It asks
# with Expect: 100-continue by itself before a body of this size.
set -euo pipefail
url=$1 file=$2
uploads=()
for upload in "${@:3}"; do
	source=$file
	# What comes out of a pipe has no length that curl could tell.
	[[ $upload != chunked-* ]] || exec {source}< <(cat "$file")
	[[ $upload != chunked-* ]] || source=/dev/fd/$source
	uploads+=(--next --silent --show-error --output /dev/null --request POST --upload-file "$source"
		--header "X-Test-Id: $upload"
		--write-out "$upload %{http_code} %header{x-sim-body-length} %header{x-sim-body-sha256}\n" "$url")
done
curl "${uploads[@]:1}" 2>&1
