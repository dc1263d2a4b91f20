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

# exists ends the script where kubectl cannot tell.
exists() { # NAMESPACE KIND NAME
	local found
	found=$(kubectl ${1:+-n "$1"} get "$2" "$3" --ignore-not-found -o name) || die "kubectl cannot tell whether $2 $3 is there"
	[ -n "$found" ]
}

# named checks NAMESPACE, and makes the name of the other namespace of it.
named() {
	NAMESPACE=${NAMESPACE:-audio-alchemist}
	EVENTS=$NAMESPACE-events
	[[ $NAMESPACE =~ ^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$ ]] ||
		die "NAMESPACE: want small letters, digits and hyphens, 42 at most; found '$NAMESPACE'"
}

# ours is how the namespaces that deploy has made are marked.
ours=app.kubernetes.io/part-of=audio-alchemist

is_ours() { # NAMESPACE
	[ "$(kubectl get namespace "$1" -o 'jsonpath={.metadata.labels.app\.kubernetes\.io/part-of}')" = "${ours#*=}" ]
}

await() { # TIMEOUT NAMESPACE WHAT...
	local timeout=$1 namespace=$2
	shift 2
	kubectl -n "$namespace" wait --for=condition=Ready --timeout="$timeout" "$@" >/dev/null ||
		die "not ready after $timeout: kubectl -n $namespace describe $*"
}

# secret makes a Secret, or changes it where HOW is apply. Its values are on no
# command line.
secret() { # HOW NAMESPACE NAME (KEY VALUE)...
	local how=("$1") namespace=$2 name=$3
	shift 3
	[ "${how[0]}" = create ] || how=(apply --server-side --force-conflicts)
	{
		printf 'apiVersion: v1\nkind: Secret\nmetadata: {namespace: "%s", name: "%s"}\ndata:\n' "$namespace" "$name"
		while [ $# -gt 0 ]; do
			printf '  %s: %s\n' "$1" "$(printf %s "$2" | base64 | tr -d '\n')"
			shift 2
		done
	} | kubectl "${how[@]}" --field-manager=audio-alchemist -f - >/dev/null
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
