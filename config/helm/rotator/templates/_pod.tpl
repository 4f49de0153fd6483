{{/* The parts of a pod. A pod of another chart can include the first four. */}}

{{/* rotator's container, next to an application. */}}
{{- define "rotator.sidecar" -}}
{{ include "rotator.container" (dict "top" . "args" (list "run") "probes" "sidecar") }}
{{- end }}

{{/* The same for `initContainers`, on Kubernetes 1.29 and newer. */}}
{{- define "rotator.nativeSidecar" -}}
{{ include "rotator.container" (dict "top" . "args" (list "run") "probes" "sidecar" "restartPolicy" "Always") }}
{{- end }}

{{/* What the container mounts, for the pod's `volumes`. */}}
{{- define "rotator.volumes" -}}
- name: identity
  projected:
    {{- with include "rotator.tokens" . }}
    sources:
      {{- . | nindent 6 }}
    {{- else }}
    sources: []
    {{- end }}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "rotator.claim" . }}
- name: config
  configMap:
    name: {{ include "rotator.name" . }}-config
- name: secrets
  secret:
    secretName: {{ .Values.secret }}
    defaultMode: 0440
    optional: false
{{- end }}

{{/* The pod's security context: the volume's root gets rotator's group; the journal's files keep their modes. */}}
{{- define "rotator.podSecurityContext" -}}
runAsNonRoot: true
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* A new value of this annotation makes new pods: rotator reads config and environment at its start. */}}
{{- define "rotator.checksum" -}}
rotator/config: {{ printf "%s%s" (include "rotator.config" .) (include "rotator.environment" .) | sha256sum }}
{{- end }}

{{- define "rotator.container" -}}
{{- $top := .top -}}
- name: rotator
  image: {{ include "rotator.image" $top }}
  imagePullPolicy: {{ $top.Values.image.pullPolicy }}
  args: {{ toJson .args }}
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  envFrom:
    - configMapRef:
        name: {{ include "rotator.name" $top }}-environment
  {{- if .probes }}
  ports:
    - name: health
      containerPort: {{ include "rotator.port" $top }}
  {{- if eq .probes "service" }}
  startupProbe:
    httpGet: {path: /healthz, port: health}
    periodSeconds: 2
    failureThreshold: 30
  readinessProbe:
    httpGet: {path: /readyz, port: health}
    periodSeconds: 10
    timeoutSeconds: 5
  {{- end }}
  livenessProbe:
    httpGet: {path: /healthz, port: health}
    {{- if eq .probes "sidecar" }}
    initialDelaySeconds: 60
    {{- end }}
    periodSeconds: 30
    timeoutSeconds: 5
    failureThreshold: 10
  {{- end }}
  resources:
    {{- toYaml $top.Values.resources | nindent 4 }}
  securityContext:
    runAsUser: 10001
    runAsGroup: 10001
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities:
      drop: [ALL]
  volumeMounts:
    - {name: data, mountPath: /var/lib/rotator}
    - {name: config, mountPath: /etc/rotator, readOnly: true}
    - {name: secrets, mountPath: /run/secrets/rotator, readOnly: true}
    - {name: identity, mountPath: /run/secrets/identity, readOnly: true}
{{- end }}

{{/* The pod of the Deployment and of the CronJob's jobs: a dict of top, args, and perhaps probes and restartPolicy. */}}
{{- define "rotator.pod" -}}
{{- $top := .top -}}
metadata:
  labels:
    {{- include "rotator.selector" $top | nindent 4 }}
    runs-rotator: "true"
    {{- with $top.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- include "rotator.checksum" $top | nindent 4 }}
    kubectl.kubernetes.io/default-container: rotator
    {{- with $top.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "rotator.serviceAccount" $top }}
  automountServiceAccountToken: {{ $top.Values.identity.byok.enabled }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  securityContext:
    {{- include "rotator.podSecurityContext" $top | nindent 4 }}
  {{- with $top.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  containers:
    {{- include "rotator.container" (dict "top" $top "args" .args "probes" .probes) | nindent 4 }}
  volumes:
    {{- include "rotator.volumes" $top | nindent 4 }}
  {{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
  {{- with index $top.Values $key }}
  {{ $key }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end }}
