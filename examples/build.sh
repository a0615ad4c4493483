#!/usr/bin/env bash
# Builds the example tooling images without Docker, from Debian's packages.
#
# Usage: build.sh [--also-next <track>]... [--repositories] <layout-dir> [<cache-dir>]
#
# Writes an OCI image layout for each repository, <layout-dir>/<repository>, and
# prints a line for each image: <repository> <tag> <manifest digest>.
#
#   --also-next <track>   also builds a second version of the track's test
#                         runner, to deploy; it shares all layers but the last
#
#   --repositories        makes git repositories from which a builder builds the
#                         images, <layout-dir>/<repository>, and prints a line
#                         for each image: <repository>@<commit, branch or tag>
#
# The base of each track is made once and kept in <cache-dir>, by default
# ${TRACKYARD_CACHE:-${XDG_CACHE_HOME:-~/.cache}/trackyard}. Remove that directory
# to get newer packages. Everything above the base depends only on the tooling's
# files: the same files give the same tag and the same digest.
set -euo pipefail
shopt -s inherit_errexit # a failure inside $(...) also ends the script

examples=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# repository, its directory here, its directory in the image
images=(
  "python-test-runner python/test-runner /opt/test-runner"
  "python-analyzer python/analyzer /opt/analyzer"
  "python-representer python/representer /opt/representer"
  "ruby-test-runner ruby/test-runner /opt/test-runner"
)

# Packages for all tooling scripts, then those of each track.
common_packages="base-files bash coreutils dash findutils grep mawk sed"
declare -A track_packages=(
  [python]="python3"
  [ruby]="ruby ruby-minitest"
)

# The timestamp of everything in the images, so that all builds are the same.
epoch=2000-01-01T00:00:00Z

say() { printf 'examples: %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

usage() {
  sed -n '4p' "${BASH_SOURCE[0]}" | cut -c3- >&2
  exit 2
}

# -- the base of a track ------------------------------------------------------

# shellcheck source=examples/base/sources.sh
. "$examples/base/sources.sh"

# make_root <track> <tar>: makes a root filesystem with the track's packages.
make_root() {
  local track=$1 tar=$2 sources
  sources=$(package_sources)
  mapfile -t sources <<<"$sources"
  # Directories that are links into /usr in every current Debian.
  # shellcheck disable=SC2016  # mmdebstrap's shell expands $1, not ours
  local merged_usr='for d in bin sbin lib lib64; do
    mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done'

  SOURCE_DATE_EPOCH=$(date --date="$epoch" +%s) mmdebstrap \
    --quiet --variant=extract --format=tar --skip=output/dev \
    --include="$common_packages,${track_packages[$track]}" \
    --aptopt='Acquire::Languages "none"' \
    --setup-hook="$merged_usr" \
    --extract-hook="$examples/base/finish-root.sh" \
    "$codename" "$tar" "${sources[@]}" ||
    die "cannot make the base of $track: mmdebstrap failed (see above)"
  # The package manager is not in the base; nor is what it leaves behind.
  tar --delete --file="$tar" ./etc/apt ./etc/dpkg ./var/cache/apt ./var/lib/apt ./var/lib/dpkg ./var/log/apt
}

# Prints a hash of everything that the base of a track is made from.
base_key() {
  local track=$1 source
  {
    printf '%s\n' "$track" "$codename" "$(dpkg --print-architecture)" \
      "$common_packages" "${track_packages[$track]}"
    declare -f make_root make_base make_layout
    cat "$examples/base/finish-root.sh"
    package_sources | while read -r source; do cat "$source"; done
  } | sha1sum | cut -c1-16
}

# make_base <track> <directory>: writes the root filesystem as a layer, layer.tar.gz.
make_base() {
  local track=$1 dir=$2
  mkdir "$dir"
  make_root "$track" "$dir/layer.tar"
  gzip --no-name --fast "$dir/layer.tar"
}

# make_layout <track> <base> <layout>: makes an image layout with one tag, "base".
make_layout() {
  local track=$1 base=$2 layout=$3
  umoci init --layout "$layout"
  umoci new --image "$layout:base"
  gunzip --stdout "$base/layer.tar.gz" >"$layout.tar"
  umoci raw add-layer --image "$layout:base" \
    --history.created="$epoch" --history.created_by="${track_packages[$track]}" "$layout.tar"
  rm "$layout.tar"
  umoci config --image "$layout:base" --no-history --created="$epoch" \
    --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    --config.env LANG=C.UTF-8
  umoci gc --layout "$layout"
}

# cached <directory> <command>...: prints the directory. If the cache does not have it, runs the command with the name of
# a new directory, and renames that.
cached() {
  local dir=$1
  shift
  [[ -d $dir ]] || {
    "$@" "$work/new-${dir##*/}" >&2
    # Another run may have been faster; its result is the same.
    mv -T "$work/new-${dir##*/}" "$dir" 2>/dev/null || [[ -d $dir ]]
  }
  printf '%s\n' "$dir"
}

# base_of <track>: prints the directory of the track's base.
base_of() {
  local track=$1 base
  base=$cache/example-base-$track-$(base_key "$track")
  if [[ -d $base ]]; then
    say "$track base: in the cache"
  else
    say "$track base: from Debian packages (about 15 s)"
  fi
  cached "$base" make_base "$track"
}

# -- the images on top --------------------------------------------------------

# plain_tar <directory> <name>...: writes a tar of names in a directory that
# depends only on names, contents and the executable bit.
plain_tar() {
  tar --create --format=gnu --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
    --mode='u=rwX,go=rX' --exclude=__pycache__ --directory="$1" "${@:2}"
}

# add_image <layout> <directory> <home>: adds the tooling of <directory> on top of
# the tag "base", as its Dockerfile does, and prints the new tag.
add_image() {
  local layout=$1 dir=$2 home=$3 tag stage
  tag=git-$(plain_tar "$dir" . | sha1sum | cut -d' ' -f1)
  stage=$(mktemp -d "$work/stage.XXXXXX")
  mkdir -p "$stage$home"
  find "$dir" -mindepth 1 -maxdepth 1 ! -name Dockerfile -exec cp -R {} "$stage$home" \;
  plain_tar "$stage" opt >"$stage.tar"
  umoci raw add-layer --image "$layout:base" --tag "$tag" \
    --history.created="$epoch" --history.created_by="COPY . $home" "$stage.tar" >&2
  umoci config --image "$layout:$tag" --no-history --created="$epoch" \
    --config.env PYTHONDONTWRITEBYTECODE=1 \
    --config.workingdir "$home" --config.entrypoint "$home/bin/run.sh" >&2
  printf '%s\n' "$tag"
}

# digest_of <layout> <tag>: prints the digest of a tag's manifest.
digest_of() {
  python3 -c '
import json, sys
index = json.load(open(sys.argv[1] + "/index.json"))
for manifest in index["manifests"]:
    if manifest["annotations"]["org.opencontainers.image.ref.name"] == sys.argv[2]:
        print(manifest["digest"])
' "$1" "$2"
}

# build_repository <repository> <directory> <home> <base>: builds a repository's
# images, and prints a line for each.
build_repository() {
  local repository=$1 dir=$2 home=$3 base=$4 track=${1%%-*} layout tag tags next
  layout=$work/$repository
  cp -R --reflink=auto "$(cached "$base-layout" make_layout "$track" "$base")" "$layout"
  tag=$(add_image "$layout" "$examples/$dir" "$home")
  tags=("$tag")
  if [[ $repository == *-test-runner && " ${also_next[*]} " == *" $track "* ]]; then
    next=$work/next-$track
    cp -R "$examples/$dir" "$next"
    echo "The same tooling under another version, to show a deploy." >"$next/NEXT"
    tag=$(add_image "$layout" "$next" "$home")
    tags+=("$tag")
  fi
  umoci rm --image "$layout:base"
  umoci gc --layout "$layout" >&2
  rm -rf "${layouts:?}/$repository"
  mv -T "$layout" "$layouts/$repository"
  for tag in "${tags[@]}"; do
    say "$repository: $tag"
    printf '%s %s %s\n' "$repository" "$tag" "$(digest_of "$layouts/$repository" "$tag")"
  done
}

# -- repositories of the same tooling ------------------------------------------

# Runs git without this machine's settings and clock.
plain_git() {
  env GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE="$epoch" GIT_COMMITTER_DATE="$epoch" \
    git -c user.name=examples -c user.email=examples@example.org -C "$@"
}

# make_repository <repository> <directory> <base>: makes a git repository of the tooling and its base, which is in no
# registry. Prints the references to build.
make_repository() {
  local repository=$1 dir=$2 base=$3 track=${1%%-*} at=$layouts/$1
  rm -rf "$at"
  cp -R "$examples/$dir" "$at"
  cp "$base/layer.tar.gz" "$at/base.tar.gz"
  {
    printf '%s\n' 'FROM scratch' 'ADD base.tar.gz /' \
      'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8'
    sed '1,/^FROM /d' "$examples/$dir/Dockerfile"
  } >"$at/Dockerfile"
  plain_git "$at" init --quiet --initial-branch=main
  # The base is already compressed.
  plain_git "$at" config core.compression 0
  plain_git "$at" add --all
  plain_git "$at" commit --quiet --message="The tooling of the example"
  if [[ $repository == *-test-runner && " ${also_next[*]} " == *" $track "* ]]; then
    printf '%s@%s\n' "$repository" "$(plain_git "$at" rev-parse HEAD)"
    echo "The same tooling under another version, to show a deploy." >"$at/NEXT"
    plain_git "$at" add --all
    plain_git "$at" commit --quiet --message="The next version"
    printf '%s@main\n' "$repository"
  elif [[ $repository == *-test-runner ]]; then
    plain_git "$at" tag --annotate v1.0 --message="The first release"
    printf '%s@v1.0\n' "$repository"
  else
    printf '%s@main\n' "$repository"
  fi
}

# -- main ---------------------------------------------------------------------

also_next=()
repositories=
while [[ ${1:-} == --* ]]; do
  if [[ $1 == --repositories ]]; then
    repositories=yes
    shift
    continue
  fi
  [[ $1 == --also-next && -n ${track_packages[${2:-none}]:-} ]] || usage
  also_next+=("$2")
  shift 2
done
(($# == 1 || $# == 2)) || usage

tools=(mmdebstrap apt-get git)
[[ -n $repositories ]] || tools+=(umoci python3)
for tool in "${tools[@]}"; do
  command -v "$tool" >/dev/null || die "$tool is missing; on Debian: apt-get install $tool"
done
# shellcheck source=/dev/null
codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:?}")

layouts=$1
cache=${2:-${TRACKYARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trackyard}}
mkdir -p "$layouts" "$cache"
layouts=$(cd "$layouts" && pwd)
cache=$(cd "$cache" && pwd)
# On the cache's file system, so that a finished base can be renamed into it.
work=$(mktemp -d "$cache/.build.XXXXXX")
trap 'rm -rf "$work"' EXIT

declare -A bases=()
for image in "${images[@]}"; do
  read -r repository dir home <<<"$image"
  track=${repository%%-*}
  [[ -n ${bases[$track]:-} ]] || bases[$track]=$(base_of "$track")
  if [[ -n $repositories ]]; then
    make_repository "$repository" "$dir" "${bases[$track]}"
  else
    build_repository "$repository" "$dir" "$home" "${bases[$track]}"
  fi
done
