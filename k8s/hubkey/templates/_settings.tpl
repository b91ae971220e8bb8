{{/* The settings files of the two servers: TOML without a secret in it. */}}

{{/* The lines of one section: keys in camelCase become those of docs/reference/settings-token-broker.md. */}}
{{- define "hubkey.toml.keys" -}}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{ $key | snakecase }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Sections by their names, in the order of the names. */}}
{{- define "hubkey.toml.sections" -}}
{{- range $name, $section := . }}
{{- if $section }}

[{{ ternary $name (snakecase $name) (contains "." $name) }}]
{{- include "hubkey.toml.keys" $section }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "hubkey.tokenBroker.toml" -}}
{{- $settings := .Values.tokenBroker.settings -}}
{{- $grace := printf "%ds" (int .Values.shutdownGracePeriodSeconds) -}}
{{- $secrets := "/etc/hubkey/secrets" -}}
{{- $kernel := dict "listen" (printf "%s:8091" .Values.listenAddress) "shutdownGracePeriod" $grace -}}
{{- if include "hubkey.kernelTlsSecret" . -}}
{{- $_ := set $kernel "certificateFile" (printf "%s/kernel-tls/tls.crt" $secrets) -}}
{{- $_ := set $kernel "certificateKeyFile" (printf "%s/kernel-tls/tls.key" $secrets) -}}
{{- else -}}
{{- $_ := set $kernel "allowPlaintext" true -}}
{{- end -}}
{{- $internal := dict "listen" "127.0.0.1:8092" "shutdownGracePeriod" $grace "sharedSecretFile" "/run/hubkey/channel/secret" -}}
{{- $hub := dict "apiUrl" .Values.hub.apiUrl "publicUrl" .Values.hub.publicUrl "apiTokenFile" (printf "%s/hub/api-token" $secrets) -}}
{{- if .Values.hub.allowPlaintext }}{{ $_ := set $hub "allowPlaintext" true }}{{ end -}}
{{- if .Values.hub.ca.existingSecret }}{{ $_ := set $hub "caFile" (printf "%s/hub-ca/ca.crt" $secrets) }}{{ end -}}
{{- $encryption := list -}}
{{- range .Values.keys.encryption }}{{ $encryption = append $encryption (printf "%s/keys/%s" $secrets .) }}{{ end -}}
{{- $keys := dict "encryptionKeyFiles" $encryption "lookupMacKeyFile" (printf "%s/keys/%s" $secrets .Values.keys.lookupMac) -}}
{{- $redis := dict -}}
{{- $sentinel := dict -}}
{{- $cluster := dict -}}
{{- if .Values.redis.sentinel.addresses -}}
{{- $sentinel = pick .Values.redis.sentinel "addresses" "master" -}}
{{- with .Values.redis.sentinel.user }}{{ $_ := set $sentinel "user" . }}{{ end -}}
{{- if .Values.redis.sentinel.password.existingSecret }}{{ $_ := set $sentinel "passwordFile" (printf "%s/redis-sentinel-password/password" $secrets) }}{{ end -}}
{{- else if .Values.redis.cluster.nodes -}}
{{- $cluster = pick .Values.redis.cluster "nodes" -}}
{{- else -}}
{{- $_ := set $redis "urlFile" (printf "%s/redis/url" $secrets) -}}
{{- end -}}
{{- with .Values.redis.user }}{{ $_ := set $redis "user" . }}{{ end -}}
{{- if .Values.redis.password.existingSecret }}{{ $_ := set $redis "passwordFile" (printf "%s/redis-password/password" $secrets) }}{{ end -}}
{{- if .Values.redis.ca.existingSecret }}{{ $_ := set $redis "caFile" (printf "%s/redis-ca/ca.crt" $secrets) }}{{ end -}}
{{- if or .Values.redis.allowPlaintext .Values.redis.bundled.enabled }}{{ $_ := set $redis "allowPlaintext" true }}{{ end -}}
{{- range $switch := list "allowUnauthenticated" "allowEviction" -}}
{{- if index $.Values.redis $switch }}{{ $_ := set $redis $switch true }}{{ end -}}
{{- end -}}
{{- if .Values.redis.replicasRequired }}{{ $_ := set $redis "replicasRequired" (int .Values.redis.replicasRequired) }}{{ end -}}
{{- $proxy := dict -}}
{{- with .Values.outboundProxy.url }}{{ $_ := set $proxy "url" . }}{{ end -}}
{{- with .Values.outboundProxy.user }}{{ $_ := set $proxy "user" . }}{{ end -}}
{{- if .Values.outboundProxy.password.existingSecret }}{{ $_ := set $proxy "passwordFile" (printf "%s/outbound-proxy-password/password" $secrets) }}{{ end -}}
{{- $own := dict "outboundProxy" $proxy "kernel" $kernel "internal" $internal "hub" $hub "keys" $keys "redis" $redis "redis.sentinel" $sentinel "redis.cluster" $cluster -}}
{{- $_ := set $own "ops" (dict "listen" (printf "%s:9091" .Values.listenAddress)) -}}
{{- $_ := set $own "log" (dict "format" "json") -}}
public_url = {{ toJson .Values.publicUrl }}
{{- include "hubkey.toml.sections" (mergeOverwrite (deepCopy $settings) $own) }}
{{- range $id, $provider := .Values.providers }}

[providers.{{ $id }}]
{{- include "hubkey.toml.keys" (omit $provider "clientSecret" "privateKey" "ca" "outboundProxyPassword" "tokenExchange") }}
{{- if dig "clientSecret" "existingSecret" "" $provider }}
client_secret_file = {{ printf "%s/providers/%s/client-secret" $secrets $id | toJson }}
{{- end }}
{{- if dig "privateKey" "existingSecret" "" $provider }}
private_key_file = {{ printf "%s/providers/%s/private-key.pem" $secrets $id | toJson }}
{{- end }}
{{- if dig "outboundProxyPassword" "existingSecret" "" $provider }}
outbound_proxy_password_file = {{ printf "%s/providers/%s/outbound-proxy-password" $secrets $id | toJson }}
{{- end }}
{{- if $provider.ca }}
ca_file = {{ printf "%s/providers/%s/ca.crt" $secrets $id | toJson }}
{{- end }}
{{- with $provider.tokenExchange }}

[providers.{{ $id }}.token_exchange]
{{- include "hubkey.toml.keys" . }}
{{- end }}
{{- end }}
{{ end -}}

{{- define "hubkey.callbackServer.toml" -}}
{{- $own := dict "listen" (printf "%s:8090" .Values.listenAddress) "publicUrl" .Values.publicUrl -}}
{{- $_ := set $own "shutdownGracePeriod" (printf "%ds" (int .Values.shutdownGracePeriodSeconds)) -}}
{{- $_ := set $own "sharedSecretFile" "/run/hubkey/channel/secret" -}}
{{- $top := dict -}}
{{- $sections := dict -}}
{{- range $key, $value := .Values.callbackServer.settings -}}
{{- if kindIs "map" $value }}{{ $_ := set $sections $key $value }}{{ else }}{{ $_ := set $top $key $value }}{{ end -}}
{{- end -}}
{{- $fixed := dict "broker" (dict "url" "http://127.0.0.1:8092") "ops" (dict "listen" (printf "%s:9092" .Values.listenAddress)) "log" (dict "format" "json") -}}
{{- include "hubkey.toml.keys" (mergeOverwrite (deepCopy $top) $own) | trim }}
{{- include "hubkey.toml.sections" (mergeOverwrite (deepCopy $sections) $fixed) }}
{{ end -}}
