#!/usr/bin/env bash
# Prints what a release says of itself: its section of the changelog, and how its files are checked and installed.
#
#   packaging/release-notes.sh VERSION OWNER/REPOSITORY
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1
repository=$2

changes=$(awk -v heading="## $version" '$0 == heading { here = 1; next } /^## / { here = 0 } here' CHANGELOG.md)
if [ -z "$changes" ]; then
  echo "CHANGELOG.md says nothing of this version: it needs a section with the heading '## $version'" >&2
  exit 1
fi

# A release is read elsewhere than the changelog: links to files become links to the files of this version.
files=${GITHUB_SERVER_URL:-https://github.com}/$repository/blob/v$version
changes=$(sed -E "s|\]\(([^):#]+)(#[^)]*)?\)|]($files/\1\2)|g" <<<"$changes")

cat <<NOTES
$changes

## Files

The Debian package is installed with \`sudo apt install ./senary_${version}_amd64.deb\`, the archive by copying its \`senary\` to
\`/usr/local/bin\`. The image is \`ghcr.io/${repository,,}:$version\`. Every file says how it was built:

\`\`\`
gh attestation verify senary-$version-x86_64-linux.tar.gz --repo $repository
\`\`\`
NOTES
