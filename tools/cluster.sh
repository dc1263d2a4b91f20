# What deploy, undeploy and minikube share; sourced, never run.
# shellcheck shell=bash
GO=${GO:-go}

say() { printf '%s\n' "$*" >&2; }
die() {
	say "error: $*"
	exit 1
}

need() { # PROGRAM WHERE-FROM
	command -v "$1" >/dev/null 2>&1 || die "$1 is not there: $2"
}

kind() { # CRD NAME WHERE-FROM
	kubectl get crd "$1" >/dev/null 2>&1 || die "the cluster has no $2: see $3"
}

exists() { # NAMESPACE KIND NAME
	kubectl ${1:+-n "$1"} get "$2" "$3" >/dev/null 2>&1
}

await() { # TIMEOUT NAMESPACE WHAT...
	local timeout=$1 namespace=$2
	shift 2
	kubectl -n "$namespace" wait --for=condition=Ready --timeout="$timeout" "$@" >/dev/null ||
		die "not ready after $timeout: kubectl -n $namespace describe $*"
}

# secret makes or changes a Secret. Its values are on no command line.
secret() { # NAMESPACE NAME (KEY VALUE)...
	local namespace=$1 name=$2
	shift 2
	{
		printf 'apiVersion: v1\nkind: Secret\nmetadata: {namespace: "%s", name: "%s"}\ndata:\n' "$namespace" "$name"
		while [ $# -gt 0 ]; do
			printf '  %s: %s\n' "$1" "$(printf %s "$2" | base64 | tr -d '\n')"
			shift 2
		done
	} | kubectl apply --server-side --force-conflicts --field-manager=audio-alchemist -f - >/dev/null
}

value() { # SECRET KEY
	kubectl -n "$NAMESPACE" get secret "$1" -o "jsonpath={.data.$2}" | base64 -d
}

password() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }

# domain is the one that Knative gives to all services.
domain() {
	local found
	found=$(kubectl -n knative-serving get configmap config-domain -o go-template='{{range $k, $v := .data}}{{if and (ne $k "_example") (eq $v "")}}{{$k}}{{"\n"}}{{end}}{{end}}' | head -1)
	echo "${found:-svc.cluster.local}"
}

# tool runs one of tools/images/go.mod.
tool() { "$GO" tool -modfile=tools/images/go.mod "$@"; }
