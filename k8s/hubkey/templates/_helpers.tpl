{{/* Names and labels. */}}
{{- define "hubkey.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "hubkey.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The labels of an object. `component` says to what it belongs; call with (list . "component"). */}}
{{- define "hubkey.labels" -}}
{{- $root := index . 0 -}}
{{- include "hubkey.selector" $root }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Which pods the two servers are in: their own, or the hub's. */}}
{{- define "hubkey.podSelector" -}}
{{- if .Values.sidecar.hub.enabled -}}
{{- toYaml .Values.hub.podLabels -}}
{{- else -}}
{{- include "hubkey.selector" . }}
app.kubernetes.io/component: servers
{{- end -}}
{{- end -}}

{{- define "hubkey.image" -}}
{{- $image := index . 1 -}}
{{- $tag := default (index . 0).Chart.AppVersion $image.tag -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository $tag -}}
{{- end -}}
{{- end -}}

{{/* Whether the public URL is a path on the hub's origin. */}}
{{- define "hubkey.onHubsOrigin" -}}
{{- if hasSuffix "/services/hubkey" (trimSuffix "/" .Values.publicUrl) }}true{{ end -}}
{{- end -}}

{{- define "hubkey.publicHost" -}}
{{- (urlParse .Values.publicUrl).hostname -}}
{{- end -}}

{{/* The Secret with the certificate of the kernel listener; empty without TLS. */}}
{{- define "hubkey.kernelTlsSecret" -}}
{{- if .Values.tokenBroker.tls.certManager.enabled -}}
{{- include "hubkey.fullname" . }}-kernel-tls
{{- else -}}
{{- .Values.tokenBroker.tls.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "hubkey.brokerUrl" -}}
{{- ternary "https" "http" (ne (include "hubkey.kernelTlsSecret" .) "") -}}://{{ include "hubkey.fullname" . }}-token-broker:8091
{{- end -}}

{{/* The Secret and key of Redis' address: the operator's, or the bundled Redis' own. */}}
{{- define "hubkey.redisUrl" -}}
{{- if .Values.redis.bundled.enabled -}}
existingSecret: {{ include "hubkey.fullname" . }}-redis
key: url
{{- else -}}
{{- toYaml .Values.redis.url -}}
{{- end -}}
{{- end -}}

{{/* The ports that the broker needs of Redis: those that the policy names, and those of sentinels and nodes. */}}
{{- define "hubkey.redisPorts" -}}
{{- $ports := list -}}
{{- range .Values.networkPolicy.egress.redisPorts }}{{ $ports = append $ports (int .) }}{{ end -}}
{{- range concat .Values.redis.sentinel.addresses .Values.redis.cluster.nodes -}}
{{- $ports = append $ports (regexFind "[0-9]+$" . | int) -}}
{{- end -}}
{{- range $ports | uniq }}
- {{ . }}
{{- end -}}
{{- end -}}

{{/* Every switch that lets something cross a network in clear, a line each. */}}
{{- define "hubkey.plaintext" -}}
{{- if .Values.tokenBroker.allowPlaintext }}
- tokenBroker.allowPlaintext: kernels -> broker. Server tokens and access tokens cross the cluster's network in clear.
{{- end }}
{{- if .Values.hub.allowPlaintext }}
- hub.allowPlaintext: broker -> Hub. Server tokens cross the cluster's network in clear.
{{- end }}
{{- if or .Values.redis.allowPlaintext .Values.redis.bundled.enabled }}
- redis.{{ ternary "bundled" "allowPlaintext" .Values.redis.bundled.enabled }}: broker -> Redis. Its password crosses the cluster's network in clear; records are sealed.
{{- end }}
{{- range $id, $provider := .Values.providers }}
{{- if $provider.allowPlaintext }}
- providers.{{ $id }}.allowPlaintext: broker -> provider. Codes, client secrets and tokens cross the network in clear.
{{- end }}
{{- end }}
{{- end -}}

{{/* The pod of `helm test` may knock at the doors that it tests. */}}
{{- define "hubkey.testPeer" -}}
- podSelector:
    matchLabels:
      {{- include "hubkey.selector" . | nindent 6 }}
      app.kubernetes.io/component: test
{{- end -}}

{{/* The port of a URL. */}}
{{- define "hubkey.port" -}}
{{- $url := urlParse . -}}
{{- $last := splitList ":" $url.host | last -}}
{{- if regexMatch "^[0-9]+$" $last }}{{ $last }}{{ else }}{{ ternary "443" "80" (eq $url.scheme "https") }}{{ end -}}
{{- end -}}
