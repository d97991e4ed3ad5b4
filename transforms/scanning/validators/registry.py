"""The validators by their names in rule files. A validator accepts a candidate by returning a `Verdict`, and dismisses
it by returning None."""

from __future__ import annotations

from collections.abc import Callable
from re import Match

from transforms.scanning.candidate import Candidate, Verdict
from transforms.scanning.validators import (
    assignments,
    credential_places,
    email_addresses,
    key_bytes,
    national_ids,
    personal_context,
    personal_values,
    phones,
    secret_values,
)

VALIDATORS: dict[str, Callable[[Candidate], Verdict | None]] = {
    validator.__name__: validator
    for validator in (
        assignments.assigned_secret,
        assignments.compared_secret,
        assignments.config_password,
        assignments.directive_secret,
        assignments.environment_secret,
        assignments.named_secret,
        assignments.password_in_line,
        assignments.settings_random,
        assignments.settings_secret,
        assignments.spoken_secret,
        credential_places.argument_password,
        credential_places.credential_argument,
        credential_places.key_file,
        credential_places.user_passwords,
        key_bytes.key_bytes,
        secret_values.basic_credentials,
        secret_values.bech32_key,
        secret_values.crc32_tail,
        secret_values.crypt_hash,
        secret_values.decodes_as_jwt,
        secret_values.decodes_as_jwt_twice,
        secret_values.kubernetes_secret,
        secret_values.near_token,
        secret_values.not_placeholder,
        secret_values.opaque_credentials,
        secret_values.opaque_or_password,
        secret_values.plausible_token,
        secret_values.sql_password,
        secret_values.private_key_block,
        secret_values.url_password,
        personal_values.author_name,
        email_addresses.email_address,
        personal_values.global_ipv4,
        personal_values.global_ipv6,
        personal_values.iban,
        personal_context.coordinate,
        personal_context.labeled_address,
        personal_context.mac_address,
        personal_context.passport_number,
        personal_context.street_address,
        personal_context.street_after_name,
        phones.column_phone,
        phones.formed_phone,
        phones.international_phone,
        phones.national_phone,
        personal_values.payment_card,
        national_ids.national_id_number,
        *personal_values.NATIONAL_ID_VALIDATORS,
    )
}

LOOKS_BEHIND_BYTES = 256
"""Bytes before its match that a validator may examine."""
ASKS_IF_TEXT = frozenset({"assigned_secret", "formed_phone", "national_id_number", "payment_card"})
"""Validators whose verdict depends on whether the value is in a comment or a string."""
READS_COLUMNS = frozenset({"formed_phone", "national_id_number", "payment_card"})
"""Validators that look up the name of a table's column, if the text has a table."""
NEEDS_PATH = frozenset({"key_file"})
"""Validators that accept nothing in a text without a path."""


def looks_near(match: Match[bytes]) -> int:
    """The end of the text that a validator examines, for most validators."""
    return match.end() + 64


LOOKS_UNTIL: dict[str, Callable[[Match[bytes]], int] | None] = {
    "assigned_secret": assignments.looks_until,
    "directive_secret": assignments.looks_until,
    "spoken_secret": assignments.looks_until,
    "kubernetes_secret": None,
    "column_phone": None,
    "user_passwords": None,
}
"""Validators that examine more text; None for those that examine the entire document."""
