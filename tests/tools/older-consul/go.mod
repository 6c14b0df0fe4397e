// A wrapper, as that of tests/tools/consul, of the oldest Consul that the registry is compared with.
// go.sum is Consul's own, copied from the module cache when the tool is built. Never `go mod tidy` here.
module older-consul-tool

go 1.22.5

require github.com/hashicorp/consul v1.19.2

require (
	github.com/hashicorp/consul/api v1.29.4 // indirect
	github.com/hashicorp/consul/envoyextensions v0.7.3 // indirect
	github.com/hashicorp/consul/proto-public v0.6.2 // indirect
	github.com/hashicorp/consul/sdk v0.16.1 // indirect
	github.com/hashicorp/consul/troubleshoot v0.7.1 // indirect
)

exclude (
	github.com/hashicorp/go-msgpack v1.1.5
	github.com/hashicorp/go-msgpack v1.1.6
)
