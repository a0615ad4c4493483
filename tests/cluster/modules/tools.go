//go:build tools

// The programs of other modules that are built with this module's versions. Their names here keep them in `go mod tidy`.
package main

import (
	_ "github.com/yannh/kubeconform/cmd/kubeconform"
	_ "helm.sh/helm/v4/cmd/helm"
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
