//go:build tools

// Programs of other modules that are built with this one's versions; `go mod tidy` keeps what is named here.
package main

import (
	_ "github.com/yannh/kubeconform/cmd/kubeconform"
	_ "helm.sh/helm/v4/cmd/helm"
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
