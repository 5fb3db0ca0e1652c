{{- /* Written by `cargo xtask gen`. */}}
{{- define "allotment.webhook" -}}
# Says at once what an object's condition would say later. The condition has the last word, so nothing waits for the webhook:
# where it is away, everything is taken.
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: allotment
webhooks:
- name: objects.allotment.dev
  failurePolicy: Ignore
  timeoutSeconds: 5
  sideEffects: None
  admissionReviewVersions: [v1]
  clientConfig: {{ toJson . }}
  rules:
  - apiGroups: [allotment.dev]
    apiVersions: [v1alpha1]
    resources: [subnets, ippools, reservations]
    operations: [CREATE, UPDATE, DELETE]
    scope: Cluster
  # The controller's own writes, of finalizers, never wait for it.
  matchConditions:
  - name: declares-something-else
    expression: request.operation != 'UPDATE' || object.spec != oldObject.spec
{{- end }}
