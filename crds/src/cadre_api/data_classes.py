"""Data classes: how sensitive a found value is, and so who may see it and what happens by default.

Detectors speak of entity types (presidio's names); clearances speak of classes, because a person
who grants a clearance thinks of "personal data", not of thirty recognisers.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class DataClass(StrEnum):
    """The classes a clearance can name."""

    PUBLIC = "PUBLIC"
    """May be seen by anyone; never masked."""
    INTERNAL = "INTERNAL"
    """Company terms: project codes, host names, listed names."""
    PII = "PII"
    """Data about a natural person."""
    FINANCIAL = "FINANCIAL"
    """Account and card numbers."""
    PHI = "PHI"
    """Health data; its recognisers run only where a policy enables them."""
    CREDENTIALS = "CREDENTIALS"
    """Keys, passwords and tokens: never restored to a model, blocked by default."""


class GuardMode(StrEnum):
    """What the guard does with a finding, from lax to strict (`GUARD_MODE_ORDER`)."""

    DISABLED = "Disabled"
    """Not looked for."""
    DETECT = "Detect"
    """Counted, passed on unchanged."""
    MASK = "Mask"
    """Replaced by a token, restored only within clearance."""
    BLOCK = "Block"
    """The whole request is refused."""


GUARD_MODE_ORDER: tuple[GuardMode, ...] = (
    GuardMode.DISABLED,
    GuardMode.DETECT,
    GuardMode.MASK,
    GuardMode.BLOCK,
)

DEFAULT_ACTIONS: Mapping[DataClass, GuardMode] = MappingProxyType(
    {
        DataClass.PUBLIC: GuardMode.DISABLED,
        DataClass.INTERNAL: GuardMode.MASK,
        DataClass.PII: GuardMode.MASK,
        DataClass.FINANCIAL: GuardMode.MASK,
        DataClass.PHI: GuardMode.MASK,
        DataClass.CREDENTIALS: GuardMode.BLOCK,
    }
)
"""What happens to a class where no policy or profile says otherwise."""

_MEMBERS: Mapping[DataClass, str] = {
    DataClass.PUBLIC: "URL DATE_TIME",
    DataClass.INTERNAL: "PROJECT HOSTNAME ORGANIZATION DENY_LIST",
    DataClass.PII: (
        "PERSON EMAIL_ADDRESS PHONE_NUMBER LOCATION ADDRESS IP_ADDRESS MAC_ADDRESS NRP DATE_OF_BIRTH AGE "
        "USERNAME US_SSN US_ITIN US_PASSPORT US_DRIVER_LICENSE UK_NINO UK_PASSPORT UK_POSTCODE "
        "UK_VEHICLE_REGISTRATION ES_NIF ES_NIE IT_FISCAL_CODE IT_DRIVER_LICENSE IT_PASSPORT IT_IDENTITY_CARD "
        "PL_PESEL SG_NRIC_FIN AU_TFN IN_PAN IN_AADHAAR IN_VOTER IN_PASSPORT IN_VEHICLE_REGISTRATION "
        "FI_PERSONAL_IDENTITY_CODE KR_RRN KR_PASSPORT KR_DRIVER_LICENSE TH_TNIN DE_ID_CARD DE_PASSPORT "
        "DE_TAX_ID DE_SOCIAL_SECURITY"
    ),
    DataClass.FINANCIAL: (
        "IBAN_CODE CREDIT_CARD US_BANK_NUMBER ABA_ROUTING_NUMBER SWIFT_CODE CRYPTO IT_VAT_CODE AU_ABN AU_ACN "
        "IN_GSTIN SG_UEN KR_BRN DE_VAT_ID"
    ),
    DataClass.PHI: (
        "MEDICAL_LICENSE MEDICAL_RECORD MEDICAL_CONDITION MEDICATION MEDICAL_DISEASE_DISORDER "
        "MEDICAL_MEDICATION MEDICAL_THERAPEUTIC_PROCEDURE MEDICAL_CLINICAL_EVENT "
        "MEDICAL_BIOLOGICAL_ATTRIBUTE MEDICAL_BIOLOGICAL_STRUCTURE MEDICAL_FAMILY_HISTORY MEDICAL_HISTORY "
        "UK_NHS AU_MEDICARE US_NPI US_MBI DE_HEALTH_INSURANCE"
    ),
    DataClass.CREDENTIALS: "API_KEY SECRET JWT PRIVATE_KEY PASSWORD ACCESS_TOKEN CONNECTION_STRING",
}

CLASS_OF_ENTITY: Mapping[str, DataClass] = MappingProxyType(
    {entity: data_class for data_class, entities in _MEMBERS.items() for entity in entities.split()}
)
"""Class of each known entity type."""


def class_of(entity_type: str) -> DataClass:
    """Class of an entity type; an unknown type counts as PII, so it is masked and needs clearance."""
    if entity_type.startswith("MEDICAL_"):
        return DataClass.PHI
    return CLASS_OF_ENTITY.get(entity_type, DataClass.PII)
