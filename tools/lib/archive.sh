# Container images of one layer as docker-archives, by GNU tar and nothing else. Sourced by tools/image and tools/cluster.
# The same files, names and date give the same bytes.

# pack_image REFERENCE ARCHIVE CONFIG FOLDER
#   Packs the tree in FOLDER. CONFIG is the JSON object "config" of the OCI image configuration (Entrypoint, Cmd, Labels).
#   The date is $SOURCE_DATE_EPOCH, else 1970. Prints the image's digest, that of its configuration.
pack_image() {
  local reference=$1 archive=$2 config=$3 folder=$4
  local epoch=${SOURCE_DATE_EPOCH:-0} work layer image created
  work=$(mktemp -d)
  created=$(timestamp)

  _tar "$epoch" "$folder" "$work/layer.tar"
  layer=$(_sha256 "$work/layer.tar")
  printf '{"created":"%s","architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"%s","created_by":"tools/image"}]}' \
    "$created" "$(_architecture)" "$config" "$layer" "$created" >"$work/config.json"
  image=$(_sha256 "$work/config.json")

  mkdir "$work/archive" "$work/archive/$layer"
  mv "$work/layer.tar" "$work/archive/$layer/layer.tar"
  mv "$work/config.json" "$work/archive/$image.json"
  printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["%s/layer.tar"]}]' "$image" "$reference" "$layer" \
    >"$work/archive/manifest.json"
  # Written beside and renamed: an archive that is there is complete.
  _tar "$epoch" "$work/archive" "$archive.new"
  mv "$archive.new" "$archive"
  rm -rf "$work"
  echo "sha256:$image"
}

# pack_program REFERENCE ARCHIVE PROGRAM PATH
#   An image of a single program, at PATH in it and its entrypoint.
pack_program() {
  local reference=$1 archive=$2 program=$3 path=$4 folder status=0
  folder=$(mktemp -d)
  mkdir -p "$folder$(dirname "$path")"
  install -m 755 "$program" "$folder$path"
  pack_image "$reference" "$archive" "{\"Entrypoint\":[\"$path\"],\"Env\":[\"PATH=$(dirname "$path")\"]}" "$folder" || status=$?
  rm -rf "$folder"
  return "$status"
}

# pack_vipcast CHECKOUT REFERENCE PROGRAM ARCHIVE
#   Our own image, as the Containerfile says; $VERSION and $REVISION go into its labels.
pack_vipcast() {
  local folder config label=org.opencontainers.image status=0
  folder=$(mktemp -d)
  install -m 755 "$3" "$folder/vipcast"
  install -m 644 "$1/LICENSE" "$folder/LICENSE"
  # Labels in the order of their names.
  config=$(printf '{"Entrypoint":["/vipcast"],"Cmd":["run"],"WorkingDir":"/","Labels":{"%s":"%s","%s":"%s","%s":"%s","%s":"%s","%s":"%s","%s":"%s"}}' \
    $label.created "$(timestamp)" $label.description "Virtual IPs for Kubernetes" $label.licenses Apache-2.0 \
    $label.revision "$REVISION" $label.title vipcast $label.version "$VERSION")
  pack_image "$2" "$4" "$config" "$folder" || status=$?
  rm -rf "$folder"
  return "$status"
}

# The date of an image, as RFC 3339 has it.
timestamp() { date -u -d "@${SOURCE_DATE_EPOCH:-0}" +%Y-%m-%dT%H:%M:%SZ; }

# _tar EPOCH FOLDER ARCHIVE
#   Nothing of who packs, when, or in which order a folder lists its files.
_tar() {
  local archive
  archive=$(realpath -m -- "$3")
  (
    cd "$2" && export LC_ALL=C &&
      tar --format=gnu --sort=name "--mtime=@$1" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf "$archive" -- *
  )
}

_sha256() { sha256sum "$1" | cut -d' ' -f1; }

# The name that Go, and so the image specification, has for what an image is built for; $ARCHITECTURE says another.
_architecture() {
  case ${ARCHITECTURE:-$(uname -m)} in
    x86_64 | amd64) echo amd64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) echo "${ARCHITECTURE:-$(uname -m)}" ;;
  esac
}
