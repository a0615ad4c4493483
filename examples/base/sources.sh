# shellcheck shell=bash
# To be sourced by scripts that make a Debian from this machine's package sources.

# Prints the files of this machine's Debian or Ubuntu package sources, one a line.
# Other sources are left out, because the base needs nothing from them.
package_sources() {
  local sources
  # shellcheck disable=SC2016  # these are apt's placeholders
  sources=$(apt-get indextargets --format '$(ORIGIN) $(SOURCESENTRY)' 'Created-By: Packages' |
    sed -nE 's/^(Debian|Ubuntu) (.*):[0-9]+$/\2/p' | sort -u)
  if [[ -z $sources ]]; then
    # The lists were never fetched, so apt cannot name their origin.
    sources=$(find /etc/apt/sources.list /etc/apt/sources.list.d/{debian,ubuntu}.sources \
      -type f -size +0 2>/dev/null || true)
  fi
  [[ -n $sources ]] || die "no package sources below /etc/apt; run this on Debian or Ubuntu"
  printf '%s\n' "$sources"
}
