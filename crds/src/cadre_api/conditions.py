"""Condition types and reasons: the words by which objects say how they are, documented once.

Programs match on these; messages beside them are for people and may change.
"""

from enum import StrEnum


class ConditionType(StrEnum):
    """What a condition speaks about."""

    READY = "Ready"
    """The object does what its spec says. The one condition to wait for."""
    ACCEPTED = "Accepted"
    """The spec is valid, resolves against the chart and is authorised. False: nothing of it is applied."""
    RECONCILING = "Reconciling"
    """Work towards the spec is under way; present only while it is true."""
    STALLED = "Stalled"
    """Work has stopped and only a change by someone helps; present only while it is true."""
    GUARD_READY = "GuardReady"
    """Agents: the guard runs the current bundle and its detectors are loaded."""
    EGRESS_SEALED = "EgressSealed"
    """Agents: the guard showed that there is no way out but through it. False: the agent is not started."""
    CONTROLLER_SYNCED = "ControllerSynced"
    """The controller works with this generation of the object."""
    POLICY_COMPLIANT = "PolicyCompliant"
    """Agents: what the agent has lies within what every node on its path allows."""
    AWAITING_APPROVAL = "AwaitingApproval"
    """Agents: someone must consent before it starts or gains rights; present only while it is true."""


class ReadyReason(StrEnum):
    """Reasons of Ready."""

    READY = "Ready"
    """All is well."""
    IDLE = "Idle"
    """Scaled to zero; wakes when a task comes."""
    SUSPENDED = "Suspended"
    """Suspended by its spec."""
    FROZEN = "Frozen"
    """Stopped by a person through freeze; thaw it to go on."""
    NOT_ACCEPTED = "NotAccepted"
    """See Accepted."""
    AWAITING_APPROVAL = "AwaitingApproval"
    """See AwaitingApproval."""
    STARTING = "Starting"
    """Processes or pods are coming up."""
    DRAINING = "Draining"
    """Running turns end before a stop or change."""
    GUARD_NOT_READY = "GuardNotReady"
    """See GuardReady."""
    EGRESS_NOT_SEALED = "EgressNotSealed"
    """See EgressSealed."""
    NO_INFERENCE_PATH = "NoInferencePath"
    """No model that the profile names is permitted, reachable and within budget."""
    AGENT_CRASHED = "AgentCrashed"
    """The agent process ended; it is restarted with backoff."""
    PROVIDER_UNREACHABLE = "ProviderUnreachable"
    """ModelProviders: the endpoint does not answer."""
    CREDENTIALS_MISSING = "CredentialsMissing"
    """The referenced credential does not exist or has not opted in."""
    TOOLS_CHANGED = "ToolsChanged"
    """ToolServers: the server offers other tools or schemas than are pinned; calls are refused."""
    SERVER_UNREACHABLE = "ServerUnreachable"
    """ToolServers: the server does not answer."""


class AcceptedReason(StrEnum):
    """Reasons of Accepted."""

    ACCEPTED = "Accepted"
    """Valid and authorised."""
    INVALID = "Invalid"
    """The spec breaks a rule of its schema."""
    REFERENCE_NOT_FOUND = "ReferenceNotFound"
    """A referenced object does not exist."""
    REFERENCE_NOT_GRANTED = "ReferenceNotGranted"
    """A referenced object is in a namespace that did not grant it."""
    CYCLE = "Cycle"
    """Parents or inherited profiles form a ring."""
    CONDITION_INVALID = "ConditionInvalid"
    """A CEL condition does not compile against the tool's schema."""
    PROFILE_NOT_ALLOWED = "ProfileNotAllowed"
    """A node on the path does not allow the profile."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """A node on the path has its most agents already."""
    NOT_AUTHORIZED = "NotAuthorized"
    """The author may not write this; the message says whom to ask."""
    CONFLICT = "Conflict"
    """Another object already claims the same, such as one identity for two persons."""


class ReconcilingReason(StrEnum):
    """Reasons of Reconciling."""

    PROGRESSING = "Progressing"
    """Changes are being applied."""
    ROLLING_OUT = "RollingOut"
    """A staged rollout is under way."""
    WAITING_FOR_DRAIN = "WaitingForDrain"
    """Running turns end first."""


class StalledReason(StrEnum):
    """Reasons of Stalled."""

    RETRIES_EXHAUSTED = "RetriesExhausted"
    """The same step failed again and again; the message has the last error."""
    ROLLOUT_STOPPED = "RolloutStopped"
    """A staged rollout was stopped because changed agents failed."""
    INVALID_REFERENCE = "InvalidReference"
    """Something named in the spec must be created or corrected first."""
    NAME_TAKEN = "NameTaken"
    """An object that is not ours has the name of one that the agent needs; it is left as it is."""


class GuardReadyReason(StrEnum):
    """Reasons of GuardReady."""

    GUARD_READY = "GuardReady"
    """Running the current bundle."""
    BUNDLE_PENDING = "BundlePending"
    """The current bundle is not acknowledged yet; the former serves on unless rights narrowed."""
    DETECTORS_LOADING = "DetectorsLoading"
    """Language models are being loaded; nothing passes meanwhile."""
    GUARD_UNREACHABLE = "GuardUnreachable"
    """The guard sends no heartbeats."""
    GUARD_FAILED = "GuardFailed"
    """The guard ended or cannot start; it is restarted with backoff."""


class EgressSealedReason(StrEnum):
    """Reasons of EgressSealed."""

    SEALED = "Sealed"
    """A listener outside the policy could not be reached."""
    PROBE_ANSWERED = "ProbeAnswered"
    """The listener answered: the network plug-in does not enforce policies."""
    PROBE_PENDING = "ProbePending"
    """Not tried yet."""
    NOT_ENFORCEABLE = "NotEnforceable"
    """This host cannot isolate processes; the message lists what is missing."""


class ControllerSyncedReason(StrEnum):
    """Reasons of ControllerSynced."""

    SYNCED = "Synced"
    """Acknowledged."""
    PENDING = "Pending"
    """Sent or waiting to be sent."""
    CONTROLLER_UNREACHABLE = "ControllerUnreachable"
    """The controller does not answer; agents work on with what they have."""
    REJECTED = "Rejected"
    """The controller refused it; the message says why."""


class PolicyCompliantReason(StrEnum):
    """Reasons of PolicyCompliant."""

    COMPLIANT = "Compliant"
    """Within all ceilings."""
    NARROWED = "Narrowed"
    """The profile lists more than the path allows; the agent has the smaller rights."""
    DRY_RUN_VIOLATION = "DryRunViolation"
    """A policy in DryRun would refuse what the agent did."""
    OVER_BUDGET = "OverBudget"
    """A budget on the path is used up."""


class AwaitingApprovalReason(StrEnum):
    """Reasons of AwaitingApproval."""

    CONSENT_REQUIRED = "ConsentRequired"
    """A new agent waits for consent; nothing runs."""
    RIGHTS_WIDENED = "RightsWidened"
    """A change would widen the rights; the former rights serve on."""
    OWNER_CONSENT_REQUIRED = "OwnerConsentRequired"
    """The named owner must agree to own the agent."""


Reason = (
    ReadyReason
    | AcceptedReason
    | ReconcilingReason
    | StalledReason
    | GuardReadyReason
    | EgressSealedReason
    | ControllerSyncedReason
    | PolicyCompliantReason
    | AwaitingApprovalReason
)

REASONS: dict[ConditionType, type[Reason]] = {
    ConditionType.READY: ReadyReason,
    ConditionType.ACCEPTED: AcceptedReason,
    ConditionType.RECONCILING: ReconcilingReason,
    ConditionType.STALLED: StalledReason,
    ConditionType.GUARD_READY: GuardReadyReason,
    ConditionType.EGRESS_SEALED: EgressSealedReason,
    ConditionType.CONTROLLER_SYNCED: ControllerSyncedReason,
    ConditionType.POLICY_COMPLIANT: PolicyCompliantReason,
    ConditionType.AWAITING_APPROVAL: AwaitingApprovalReason,
}
"""The reasons that belong to each condition."""
