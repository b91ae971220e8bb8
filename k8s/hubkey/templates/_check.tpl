{{/* What values.schema.json cannot say in a sentence: all mistakes at once. */}}
{{- define "hubkey.check" -}}
{{- $mistakes := list -}}
{{- $values := .Values -}}
{{- if not $values.publicUrl -}}
{{- $mistakes = append $mistakes "publicUrl is empty. Set where browsers reach callback-server, such as https://hubkey.example.org." -}}
{{- end -}}
{{- if not $values.hub.publicUrl -}}
{{- $mistakes = append $mistakes "hub.publicUrl is empty. Set the hub as browsers see it, such as https://jupyter.example.org." -}}
{{- end -}}
{{- if not $values.providers -}}
{{- $mistakes = append $mistakes "providers is empty. List at least one identity provider." -}}
{{- end -}}
{{- range $id, $provider := $values.providers -}}
{{- $hasSecret := dig "clientSecret" "existingSecret" "" $provider -}}
{{- $hasKey := dig "privateKey" "existingSecret" "" $provider -}}
{{- $way := default "" $provider.tokenEndpointAuthMethod -}}
{{- if eq $way "private_key_jwt" -}}
{{- if or $hasSecret (not $hasKey) -}}
{{- $mistakes = append $mistakes (printf "providers.%s proves itself by a key. Set privateKey.existingSecret, and no clientSecret." $id) -}}
{{- end -}}
{{- else if $hasKey -}}
{{- $mistakes = append $mistakes (printf "providers.%s has a privateKey. Set tokenEndpointAuthMethod: private_key_jwt, or remove it." $id) -}}
{{- else if and (not $hasSecret) (ne $way "none") -}}
{{- $mistakes = append $mistakes (printf "providers.%s has no clientSecret.existingSecret. Name the Secret, or set tokenEndpointAuthMethod: none." $id) -}}
{{- end -}}
{{- end -}}
{{- range $id, $provider := $values.providers -}}
{{- if $provider.ca -}}
{{- if eq (empty $provider.ca.existingConfigMap) (empty $provider.ca.existingSecret) -}}
{{- $mistakes = append $mistakes (printf "providers.%s.ca names no certificates, or two places. Set one of existingConfigMap and existingSecret." $id) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $values.keys.existingSecret -}}
{{- $mistakes = append $mistakes "keys.existingSecret is empty. Make the key ring, and name its Secret." -}}
{{- end -}}
{{- $redis := $values.redis -}}
{{- $places := list -}}
{{- if $redis.url.existingSecret }}{{ $places = append $places "redis.url" }}{{ end -}}
{{- if $redis.sentinel.addresses }}{{ $places = append $places "redis.sentinel" }}{{ end -}}
{{- if $redis.cluster.nodes }}{{ $places = append $places "redis.cluster" }}{{ end -}}
{{- if $redis.bundled.enabled }}{{ $places = append $places "redis.bundled.enabled" }}{{ end -}}
{{- if not $places -}}
{{- $mistakes = append $mistakes "redis.url.existingSecret is empty. Name the Secret with Redis' address, or set redis.sentinel or redis.cluster, or for development redis.bundled.enabled." -}}
{{- else if gt (len $places) 1 -}}
{{- $mistakes = append $mistakes (printf "%s are set together. Keep one of them." (join " and " $places)) -}}
{{- end -}}
{{- if and $redis.sentinel.addresses (not $redis.sentinel.master) -}}
{{- $mistakes = append $mistakes "redis.sentinel.master is empty. Set what the sentinels call the master." -}}
{{- end -}}
{{- if and $redis.sentinel.master (not $redis.sentinel.addresses) -}}
{{- $mistakes = append $mistakes "redis.sentinel.addresses is empty. List the sentinels, such as rediss://host:26379." -}}
{{- end -}}
{{- if and $redis.cluster.nodes $redis.replicasRequired -}}
{{- $mistakes = append $mistakes "redis.replicasRequired does nothing with redis.cluster. Remove it, and set min-replicas-to-write at the nodes." -}}
{{- end -}}
{{- $tls := $values.tokenBroker.tls -}}
{{- $ways := 0 -}}
{{- range (list $tls.existingSecret $tls.certManager.enabled $values.tokenBroker.allowPlaintext) -}}
{{- if . -}}{{- $ways = add1 $ways -}}{{- end -}}
{{- end -}}
{{- if ne (int $ways) 1 -}}
{{- $mistakes = append $mistakes "Set exactly one of tokenBroker.tls.existingSecret, tokenBroker.tls.certManager.enabled and tokenBroker.allowPlaintext: kernels send their server's token to the broker." -}}
{{- end -}}
{{- if and $tls.certManager.enabled (not $tls.certManager.issuerRef.name) -}}
{{- $mistakes = append $mistakes "tokenBroker.tls.certManager.issuerRef has no name. Name the issuer that signs the broker's certificate." -}}
{{- end -}}
{{- if and (hasPrefix "http://" $values.hub.apiUrl) (not $values.hub.allowPlaintext) (not (regexMatch "^http://(localhost|127\\.0\\.0\\.1|\\[::1\\])[:/]" $values.hub.apiUrl)) -}}
{{- $mistakes = append $mistakes "hub.apiUrl is plain http, so server tokens cross the cluster's network in clear. Set hub.allowPlaintext: true if that is acceptable, or give the Hub TLS." -}}
{{- end -}}
{{- if and (include "hubkey.onHubsOrigin" .) (or $values.ingress.enabled $values.httpRoute.enabled) -}}
{{- $mistakes = append $mistakes "publicUrl is a path on the hub's origin, which the hub's proxy routes. Switch ingress and httpRoute off, or give publicUrl an own host." -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) -}}
{{- $mistakes = append $mistakes "httpRoute.parentRefs is empty. Name the Gateway." -}}
{{- end -}}
{{- if and $values.sidecar.hub.enabled $values.autoscaling.enabled -}}
{{- $mistakes = append $mistakes "autoscaling.enabled does nothing with sidecar.hub.enabled: there is one hub pod. Switch it off." -}}
{{- end -}}
{{- if $mistakes -}}
{{- fail (printf "\n\nThe values do not fit together:\n- %s\n" (join "\n- " $mistakes)) -}}
{{- end -}}
{{- end -}}
