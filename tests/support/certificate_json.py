"""A certificate as the C2PA conformance programme's own schemas expect it to be described.

The schemas judge the output of that programme's decoder; this writes as much of it as they read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from guard.provenance import der

_USAGES = {
    "digitalSignature": "digital_signature",
    "contentCommitment": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
}
_RSA, _EC, _ED = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1", "1.3.101.112"
_STRINGS = {der.OID: "ObjectIdentifier", der.UTF8_STRING: "UTF8String"}


def described(certificate: x509.Certificate) -> dict[str, Any]:
    """What the schemas ``*.cert.schema.json`` judge."""
    algorithm = _oid(certificate.signature_algorithm_oid.dotted_string)
    return {
        "format": "certificate",
        "decoded": {
            "tbsCertificate": {
                "version": {"value": certificate.version.value},
                "serialNumber_hex": hex(certificate.serial_number),
                "signature": {"algorithm": algorithm},
                "issuer": _name(certificate.issuer),
                "validity": _validity(certificate),
                "subject": _name(certificate.subject),
                "subjectPublicKeyInfo": {"publicKey": _key(certificate.public_key())},
                "extensions": extensions(certificate.extensions),
            },
            "signatureAlgorithm": {"algorithm": algorithm},
            "signatureValue_hex": certificate.signature.hex(),
        },
    }


def described_request(request: x509.CertificateSigningRequest) -> dict[str, Any]:
    """What the schemas ``*.csr.schema.json`` judge."""
    return {
        "format": "csr",
        "decoded": {
            "certificationRequestInfo": {
                "version": 0,
                "subject": _name(request.subject),
                "subjectPublicKeyInfo": {"publicKey": _key(request.public_key())},
                "requestedExtensions": extensions(request.extensions),
            },
            "signatureAlgorithm": {
                "algorithm": _oid(request.signature_algorithm_oid.dotted_string)
            },
            "signature_hex": request.signature.hex(),
        },
    }


def extensions(found: x509.Extensions) -> list[dict[str, Any]]:
    return [
        {
            "extnID": _oid(one.oid.dotted_string),
            "critical": one.critical,
            "extnValue": _value(one.value),
        }
        for one in found
    ]


def _oid(dotted: str) -> dict[str, str]:
    return {"oid": dotted, "name": dotted}


def _name(name: x509.Name) -> list[list[dict[str, Any]]]:
    return [
        [{"type": _oid(one.oid.dotted_string), "value": one.value} for one in rdn]
        for rdn in name.rdns
    ]


def _validity(certificate: x509.Certificate) -> dict[str, Any]:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return {
        "notBefore": {"_encoding": "UTCTime", "value": start.isoformat()},
        "notAfter": {"_encoding": "UTCTime", "value": end.isoformat()},
        "computedValidityDays": (end - start).days,
    }


def _key(key: Any) -> dict[str, Any]:
    raw = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex()
    if isinstance(key, rsa.RSAPublicKey):
        return {
            "spki_algorithm": {"algorithm": _oid(_RSA)},
            "raw_spki_hex": raw,
            "modulus_bits": key.key_size,
        }
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {
            "spki_algorithm": {"algorithm": _oid(_EC)},
            "raw_spki_hex": raw,
            "curve": key.curve.name,
            "key_size_bits": key.key_size,
        }
    assert isinstance(key, ed25519.Ed25519PublicKey)
    return {
        "spki_algorithm": {"algorithm": _oid(_ED)},
        "raw_spki_hex": raw,
        "curve": "Ed25519",
        "key_size_bits": 256,
    }


def _value(value: x509.ExtensionType) -> dict[str, Any]:
    return next(write(value) for kind, write in _WRITERS.items() if isinstance(value, kind))


def _authority(value: x509.AuthorityKeyIdentifier) -> dict[str, Any]:
    return {"keyIdentifier_hex": value.key_identifier.hex()} if value.key_identifier else {}


def _key_usage(value: x509.KeyUsage) -> dict[str, Any]:
    agreed = value.key_agreement
    return {said: getattr(value, name) for said, name in _USAGES.items()} | {
        "encipherOnly": agreed and value.encipher_only,
        "decipherOnly": agreed and value.decipher_only,
    }


def _policies(value: x509.CertificatePolicies) -> dict[str, Any]:
    named = [{"policyIdentifier": _oid(one.policy_identifier.dotted_string)} for one in value]
    return {"certificatePolicies": named}


def _crl(value: x509.CRLDistributionPoints) -> dict[str, Any]:
    points = [[_general(one) for one in point.full_name or ()] for point in value]
    return {"cRLDistributionPoints": [{"distributionPoint": {"fullName": one}} for one in points]}


def _access(one: x509.AccessDescription) -> dict[str, Any]:
    return {
        "accessMethod": _oid(one.access_method.dotted_string),
        "accessLocation": _general(one.access_location),
    }


def _general(name: x509.GeneralName) -> dict[str, Any]:
    kinds = {x509.UniformResourceIdentifier: "uniformResourceIdentifier", x509.DNSName: "dNSName"}
    return {"_type": kinds.get(type(name), "UNKNOWN"), "value": str(name.value)}


def _unknown(content: bytes) -> dict[str, Any]:
    raw = {"_raw_value_hex": content.hex(), "_unrecognized": True}
    try:
        one = der.read(content)
    except ValueError:
        return raw | {"_pyasn1_error": "no DER"}
    if one.tag == der.OID:
        value = x509.ObjectIdentifier(_dotted(one.content)).dotted_string
    else:
        value = one.content.decode("utf-8", "replace")
    kind = _STRINGS.get(one.tag, "OctetString")
    return raw | {"_pyasn1_decoded": {"_asn1_type": kind, "value": value}}


def _dotted(content: bytes) -> str:
    arcs, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))


_WRITERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    x509.SubjectKeyIdentifier: lambda one: {"keyIdentifier_hex": one.digest.hex()},
    x509.AuthorityKeyIdentifier: _authority,
    x509.KeyUsage: _key_usage,
    x509.BasicConstraints: lambda one: {"cA": one.ca, "pathLenConstraint": one.path_length},
    x509.ExtendedKeyUsage: lambda one: {"extendedKeyUsage": [_oid(x.dotted_string) for x in one]},
    x509.CertificatePolicies: _policies,
    x509.AuthorityInformationAccess: lambda one: {"authorityInfoAccess": [*map(_access, one)]},
    x509.CRLDistributionPoints: _crl,
    x509.OCSPNoCheck: lambda _: {"ocspNoCheck": None},
    x509.UnrecognizedExtension: lambda one: _unknown(one.value),
}
