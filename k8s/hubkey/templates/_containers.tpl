{{/* The containers and volumes of the two servers: for their own pod, and for the hub's. */}}

{{- define "hubkey.securityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "hubkey.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end -}}

{{- define "hubkey.tracing" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.tracing }}
env:
  {{- if not (hasKey $root.Values.tracing "OTEL_SERVICE_NAME") }}
  - {name: OTEL_SERVICE_NAME, value: hubkey-{{ index . 1 }}}
  {{- end }}
  {{- range $name, $value := $root.Values.tracing }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
{{- end }}
{{- end -}}

{{/* In the hub's pod an empty volume lies over the hub's own service-account token. */}}
{{- define "hubkey.shadow" -}}
{{- if .Values.sidecar.hub.enabled }}
- name: hubkey-no-service-account
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end }}
{{- end -}}

{{/* Makes what callback-server proves itself to the broker with: one for each pod, in its memory, in no Secret. */}}
{{- define "hubkey.initContainer" -}}
- name: hubkey-channel
  image: {{ include "hubkey.image" (list . .Values.tokenBroker.image) }}
  imagePullPolicy: {{ .Values.tokenBroker.image.pullPolicy }}
  args: [generate-key, --if-missing, /run/hubkey/channel/secret]
  securityContext:
    {{- include "hubkey.securityContext" . | nindent 4 }}
  resources:
    {{- toYaml .Values.tokenBroker.resources | nindent 4 }}
  volumeMounts:
    - {name: hubkey-channel, mountPath: /run/hubkey/channel}
    {{- include "hubkey.shadow" . | nindent 4 }}
{{- end -}}

{{- define "hubkey.containers" -}}
- name: token-broker
  image: {{ include "hubkey.image" (list . .Values.tokenBroker.image) }}
  imagePullPolicy: {{ .Values.tokenBroker.image.pullPolicy }}
  args: [--config, /etc/hubkey/token-broker.toml]
  {{- include "hubkey.tracing" (list . "token-broker") | nindent 2 }}
  ports:
    - {name: hubkey-kernel, containerPort: 8091}
    - {name: hubkey-ops, containerPort: 9091}
  {{- include "hubkey.probes" "hubkey-ops" | nindent 2 }}
  # Leaves the Services before it stops to listen, and after callback-server, which needs it until its last request.
  lifecycle:
    preStop:
      sleep: {seconds: 7}
  securityContext:
    {{- include "hubkey.securityContext" . | nindent 4 }}
  resources:
    {{- toYaml .Values.tokenBroker.resources | nindent 4 }}
  volumeMounts:
    - {name: hubkey-token-broker, mountPath: /etc/hubkey/token-broker.toml, subPath: token-broker.toml, readOnly: true}
    - {name: hubkey-secrets, mountPath: /etc/hubkey/secrets, readOnly: true}
    - {name: hubkey-channel, mountPath: /run/hubkey/channel, readOnly: true}
    {{- include "hubkey.shadow" . | nindent 4 }}
- name: callback-server
  image: {{ include "hubkey.image" (list . .Values.callbackServer.image) }}
  imagePullPolicy: {{ .Values.callbackServer.image.pullPolicy }}
  args: [--config, /etc/hubkey/callback-server.toml]
  {{- include "hubkey.tracing" (list . "callback-server") | nindent 2 }}
  ports:
    - {name: hubkey-public, containerPort: 8090}
    - {name: hubkey-ops-page, containerPort: 9092}
  {{- include "hubkey.probes" "hubkey-ops-page" | nindent 2 }}
  lifecycle:
    preStop:
      sleep: {seconds: 5}
  securityContext:
    {{- include "hubkey.securityContext" . | nindent 4 }}
  resources:
    {{- toYaml .Values.callbackServer.resources | nindent 4 }}
  volumeMounts:
    - {name: hubkey-callback-server, mountPath: /etc/hubkey/callback-server.toml, subPath: callback-server.toml, readOnly: true}
    - {name: hubkey-channel, mountPath: /run/hubkey/channel, readOnly: true}
    {{- include "hubkey.shadow" . | nindent 4 }}
{{- end -}}

{{/* One key of one Secret as a file; call with (dict "existingSecret" … "key" … "path" …). */}}
{{- define "hubkey.secretFile" -}}
- secret:
    name: {{ .existingSecret }}
    items:
      - {key: {{ .key | quote }}, path: {{ .path | quote }}}
{{- end -}}

{{- define "hubkey.volumes" -}}
- name: hubkey-token-broker
  configMap:
    name: {{ include "hubkey.fullname" . }}-token-broker
- name: hubkey-callback-server
  configMap:
    name: {{ include "hubkey.fullname" . }}-callback-server
- name: hubkey-channel
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
# Every secret of the broker, a key each; replaced files are seen without a restart where the broker reads them again.
- name: hubkey-secrets
  projected:
    defaultMode: 0440
    sources:
      {{- include "hubkey.secretFile" (merge (dict "path" "hub/api-token") .Values.hub.apiToken) | nindent 6 }}
      - secret:
          name: {{ .Values.keys.existingSecret }}
          items:
            {{- range append .Values.keys.encryption .Values.keys.lookupMac }}
            - {key: {{ . | quote }}, path: {{ printf "keys/%s" . | quote }}}
            {{- end }}
      {{- if not (or .Values.redis.sentinel.addresses .Values.redis.cluster.nodes) }}
      {{- include "hubkey.secretFile" (merge (dict "path" "redis/url") (include "hubkey.redisUrl" . | fromYaml)) | nindent 6 }}
      {{- end }}
      {{- if and .Values.redis.sentinel.addresses .Values.redis.sentinel.password.existingSecret }}
      {{- include "hubkey.secretFile" (merge (dict "path" "redis-sentinel-password/password") .Values.redis.sentinel.password) | nindent 6 }}
      {{- end }}
      {{- if .Values.redis.password.existingSecret }}
      {{- include "hubkey.secretFile" (merge (dict "path" "redis-password/password") .Values.redis.password) | nindent 6 }}
      {{- end }}
      {{- if .Values.redis.ca.existingSecret }}
      {{- include "hubkey.secretFile" (merge (dict "path" "redis-ca/ca.crt") .Values.redis.ca) | nindent 6 }}
      {{- end }}
      {{- if .Values.hub.ca.existingSecret }}
      {{- include "hubkey.secretFile" (merge (dict "path" "hub-ca/ca.crt") .Values.hub.ca) | nindent 6 }}
      {{- end }}
      {{- if .Values.outboundProxy.password.existingSecret }}
      {{- include "hubkey.secretFile" (merge (dict "path" "outbound-proxy-password/password") .Values.outboundProxy.password) | nindent 6 }}
      {{- end }}
      {{- with include "hubkey.kernelTlsSecret" . }}
      - secret:
          name: {{ . }}
          items:
            - {key: tls.crt, path: kernel-tls/tls.crt}
            - {key: tls.key, path: kernel-tls/tls.key}
      {{- end }}
      {{- range $id, $provider := .Values.providers }}
      {{- if dig "clientSecret" "existingSecret" "" $provider }}
      {{- include "hubkey.secretFile" (merge (dict "path" (printf "providers/%s/client-secret" $id)) $provider.clientSecret (dict "key" "client-secret")) | nindent 6 }}
      {{- end }}
      {{- if dig "privateKey" "existingSecret" "" $provider }}
      {{- include "hubkey.secretFile" (merge (dict "path" (printf "providers/%s/private-key.pem" $id)) $provider.privateKey (dict "key" "private-key.pem")) | nindent 6 }}
      {{- end }}
      {{- if dig "outboundProxyPassword" "existingSecret" "" $provider }}
      {{- include "hubkey.secretFile" (merge (dict "path" (printf "providers/%s/outbound-proxy-password" $id)) $provider.outboundProxyPassword (dict "key" "password")) | nindent 6 }}
      {{- end }}
      {{- with $provider.ca }}
      - {{ ternary "configMap" "secret" (empty .existingSecret) }}:
          name: {{ default .existingConfigMap .existingSecret }}
          items:
            - {key: {{ default "ca.crt" .key | quote }}, path: {{ printf "providers/%s/ca.crt" $id | quote }}}
      {{- end }}
      {{- end }}
{{- if .Values.sidecar.hub.enabled }}
- name: hubkey-no-service-account
  emptyDir: {sizeLimit: 1Mi}
{{- end }}
{{- end -}}
