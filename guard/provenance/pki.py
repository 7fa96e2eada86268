"""Certificates of the kinds that C2PA knows, issued here for development and tests.

Each kind follows its certificate profile of the C2PA conformance programme (claim-signing leaf at
assurance level 1, issuing CAs, OCSP responder, time-stamping authority). What a test wants wrong
it changes in the :class:`Template`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    NameOID,
)

from guard.provenance import der
from guard.provenance.certificates import DEVELOPMENT_ONLY

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

CLAIM_SIGNING = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
"""Extended key usage c2pa-kp-claimSigning."""

POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.62558.1.1")
"""The certificate policy of the C2PA conformance programme."""

ASSURANCE_LEVEL = x509.ObjectIdentifier("1.3.6.1.4.1.62558.3")
ASSURANCE_LEVEL_1 = "1.3.6.1.4.1.62558.3.10"
CPL_RECORD = x509.ObjectIdentifier("1.3.6.1.4.1.62558.4")
NO_PRODUCT = "00000000-0000-0000-0000-000000000000"
"""The nil UUID where a real certificate names its product's record: no product is this one."""

NO_COUNTRY = "ZZ"
"""ISO 3166 leaves this code to users: it is no country's."""

CLOCK_SKEW = timedelta(hours=1)
"""Valid from a little ago, so that a second machine with a slow clock can use it at once."""

SIGN = ("digital_signature", "content_commitment")
ISSUE = ("key_cert_sign", "crl_sign")

_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate with its private key; ``issuers`` from the one above it to the root."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    issuers: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain_pem(self) -> bytes:
        """The certificate and those above it, without the root, which verifiers must have."""
        above = [one for one in self.issuers if one.subject != one.issuer]
        return b"".join(one.public_bytes(Encoding.PEM) for one in (self.certificate, *above))

    @property
    def key_pem(self) -> bytes:
        """The private key, unencrypted PKCS#8."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class Template:
    """Everything that a certificate will say, but for its keys and its issuer.

    ``valid_days`` counts from ``start`` (default: a little ago). ``usages`` and ``policies`` may
    be empty: then the extension is left out. ``ocsp_url`` and ``issuer_url`` (where the issuer's
    certificate is to be had) go into Authority Information Access.
    ``path_length`` of a CA: how many CAs may stand below it. ``without`` leaves out extensions by
    their OID, for tests.
    """

    common_name: str
    valid_days: float
    usages: tuple[x509.ObjectIdentifier, ...] = ()
    usages_critical: bool = False
    key_usage: tuple[str, ...] = SIGN
    ca: bool = False
    path_length: int | None = None
    policies: tuple[x509.ObjectIdentifier, ...] = (POLICY,)
    ocsp_url: str | None = None
    issuer_url: str | None = None
    start: datetime | None = None
    organization: str = f"genguard {DEVELOPMENT_ONLY}"
    country: str | None = NO_COUNTRY
    extra: tuple[x509.ExtensionType, ...] = ()
    without: frozenset[x509.ObjectIdentifier] = frozenset()

    def but(self, **changes: object) -> Template:
        """The same with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]  # dataclasses checks the names


def _named(role: str) -> str:
    return f"genguard {role} ({DEVELOPMENT_ONLY})"


def claim_extras(
    level: str = ASSURANCE_LEVEL_1, record: str | None = NO_PRODUCT
) -> tuple[x509.ExtensionType, ...]:
    """What the C2PA profile asks of a claim signer alone: assurance level and product record."""
    stated: list[x509.ExtensionType] = [x509.UnrecognizedExtension(ASSURANCE_LEVEL, der.oid(level))]
    if record is not None:
        value = der.element(der.UTF8_STRING, record.encode())
        stated.append(x509.UnrecognizedExtension(CPL_RECORD, value))
    return tuple(stated)


ROOT = Template(_named("root CA"), 3650, key_usage=ISSUE, ca=True, path_length=2, policies=())
ISSUING_CA = Template(
    _named("issuing CA"),
    1826,  # the profile allows 1827
    usages=(CLAIM_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION),
    key_usage=ISSUE,
    ca=True,
    path_length=0,
)
SIGNER = Template(
    _named("signer"),
    365,  # the profile of assurance level 1 allows 366
    usages=(ExtendedKeyUsageOID.EMAIL_PROTECTION, CLAIM_SIGNING),
    extra=claim_extras(),
)
OCSP_RESPONDER = Template(
    _named("OCSP responder"),
    365,
    usages=(ExtendedKeyUsageOID.OCSP_SIGNING,),
    key_usage=("digital_signature",),
    policies=(),
    extra=(x509.OCSPNoCheck(),),
)
TSA_ROOT = ROOT.but(common_name=_named("time-stamping root CA"))
TSA_CA = Template(
    _named("time-stamping CA"),
    3649,
    usages=(ExtendedKeyUsageOID.TIME_STAMPING,),
    key_usage=ISSUE,
    ca=True,
    path_length=0,
)
TSA = Template(
    _named("time-stamping authority"),
    3648,
    usages=(ExtendedKeyUsageOID.TIME_STAMPING,),
    usages_critical=True,
)


def new_key(algorithm: str = "es256") -> PrivateKey:
    """A private key for ``algorithm``, named as c2pa does: es256, es384, es512, ps256, ed25519."""
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "ps256":
        return rsa.generate_private_key(65537, 3072)
    curves = {"es256": ec.SECP256R1(), "es384": ec.SECP384R1(), "es512": ec.SECP521R1()}
    return ec.generate_private_key(curves[algorithm])


def issue(
    template: Template, issuer: Credential | None = None, key: PrivateKey | None = None
) -> Credential:
    """A certificate for ``key`` (default: a new one, P-384 for CAs, P-256 else).

    Signed by ``issuer``; by itself where there is none.
    """
    key = key or new_key("es384" if template.ca else "es256")
    subject = _subject(template)
    start = template.start or datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - CLOCK_SKEW)
        .not_valid_after(start + timedelta(days=template.valid_days))
    )
    signing = issuer.key if issuer else key
    for extension, critical in _extensions(template, key, signing):
        if extension.oid not in template.without:
            builder = builder.add_extension(extension, critical=critical)
    certificate = builder.sign(signing, hash_for(signing))
    above = (issuer.certificate, *issuer.issuers) if issuer else ()
    return Credential(certificate, key, above)


def key_usage(names: tuple[str, ...]) -> x509.KeyUsage:
    """Key usage with these bits, named as ``cryptography`` names them."""
    return x509.KeyUsage(**{name: name in names for name in _USAGES})


def _subject(template: Template) -> x509.Name:
    said = (
        (NameOID.COUNTRY_NAME, template.country),
        (NameOID.ORGANIZATION_NAME, template.organization),
        (NameOID.COMMON_NAME, template.common_name),
    )
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in said if value])


def _extensions(
    template: Template, key: PrivateKey, signing: PrivateKey
) -> list[tuple[x509.ExtensionType, bool]]:
    """Extensions with whether they are critical."""
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(template.ca, template.path_length), True),
        (key_usage(template.key_usage), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), False),
    ]
    if template.usages:
        found.append((x509.ExtendedKeyUsage(list(template.usages)), template.usages_critical))
    if template.policies:
        policies = [x509.PolicyInformation(one, None) for one in template.policies]
        found.append((x509.CertificatePolicies(policies), False))
    access = _access(template)
    if access:
        found.append((x509.AuthorityInformationAccess(access), False))
    return found + [(one, False) for one in template.extra]


def _access(template: Template) -> list[x509.AccessDescription]:
    said = (
        (AuthorityInformationAccessOID.OCSP, template.ocsp_url),
        (AuthorityInformationAccessOID.CA_ISSUERS, template.issuer_url),
    )
    return [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, url in said
        if url
    ]


def hash_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """The hash that goes with a key; none with Ed25519, which has its own."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, rsa.RSAPrivateKey) or key.key_size <= 256:
        return hashes.SHA256()
    return hashes.SHA384() if key.key_size == 384 else hashes.SHA512()
