module k8gentai.dev/hack/cluster/source/pause

go 1.25
