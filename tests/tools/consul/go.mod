// A wrapper: Consul cannot be had by `go install`, because its go.mod has replace and exclude directives.
// go.sum is Consul's own, copied from the module cache when the tool is built. Never `go mod tidy` here.
module consul-tool

go 1.25.4

require github.com/hashicorp/consul v1.22.7

require github.com/hashicorp/consul/api v1.34.1 // indirect; the CLI does not compile with the v1.33.7 that consul itself asks for

exclude (
	github.com/hashicorp/go-msgpack v1.1.5
	github.com/hashicorp/go-msgpack v1.1.6
)
