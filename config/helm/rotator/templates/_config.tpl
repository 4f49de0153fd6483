{{/* rotator's config; rendering fails if it does not fit what the pod mounts. */}}
{{- define "rotator.config" -}}
{{- if not .Values.persistence.enabled }}
{{- fail "persistence.enabled: false is refused. The journal says which keys Northflank may hold and what is still to be done; without a persistent volume a restart loses it, and rotator loses track of keys. Use persistence.existingClaim for a volume of your own." }}
{{- end }}
{{- if not .Values.config.credentials }}
{{- fail "config.credentials is empty: there is nothing to rotate. See config/rotator.example.yaml." }}
{{- end }}
{{- if not (hasPrefix "sqlite:////var/lib/rotator/data/" .Values.config.store.url) }}
{{- fail (printf "config.store.url is %s: it must be below /var/lib/rotator/data, on the volume (and not in its root, which belongs to the kubelet)." .Values.config.store.url) }}
{{- end }}
{{- if and .Values.config.audit.file (not (hasPrefix "/var/lib/rotator/data/" .Values.config.audit.file)) }}
{{- fail (printf "config.audit.file is %s: it must be below /var/lib/rotator/data, on the volume." .Values.config.audit.file) }}
{{- end }}
{{- toYaml .Values.config }}
{{- end }}

{{/* The port of the health listener, for the probes. */}}
{{- define "rotator.port" -}}
{{- $listen := (.Values.config.health | default dict).listen | default "" }}
{{- if or (not $listen) (hasPrefix "127." $listen) (hasPrefix "[::1]" $listen) }}
{{- fail (printf "config.health.listen is %q: the kubelet's probes reach the pod's own address only; say 0.0.0.0:8086, or [::]:8086." $listen) }}
{{- end }}
{{- regexFind "[0-9]+$" $listen }}
{{- end }}
