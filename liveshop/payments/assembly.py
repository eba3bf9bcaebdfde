"""The configured providers. A new one is a file in `providers/` and a line here."""

from liveshop.payments.model import PaymentProvider
from liveshop.payments.providers.at_pickup import AtPickup
from liveshop.payments.providers.invoice import Invoice
from liveshop.payments.providers.rehearsal import Rehearsed
from liveshop.payments.providers.sandbox import Sandbox
from liveshop.settings import BadSettings, Settings
from liveshop.storage import Database


def providers_of(settings: Settings, database: Database) -> dict[str, PaymentProvider]:
    """By method, in the order in which they are offered. Raises BadSettings."""
    return {method: _provider(method, settings, database) for method in settings.payments.methods}


def rehearsal_provider(database: Database) -> PaymentProvider:
    return Rehearsed(database)


def _provider(method: str, settings: Settings, database: Database) -> PaymentProvider:
    match method:
        case "invoice":
            return Invoice()
        case "at_pickup":
            return AtPickup()
        case "sandbox":
            return Sandbox(database, mode=settings.mode)
        case "stripe":
            return _stripe(settings)
    raise BadSettings([f"payments.methods: there is no method {method!r}"])


def _stripe(settings: Settings) -> PaymentProvider:
    try:
        # Here, not above: a shop without Stripe needs no client of it.
        from liveshop.payments.providers.stripe import Stripe  # noqa: PLC0415

        return Stripe(
            settings.stripe,
            capture=settings.payments.capture,
            timeout_seconds=settings.payments.timeout_seconds,
        )
    except ImportError as error:
        raise BadSettings(
            ["payments.methods: stripe needs its client; install liveshop[stripe]"]
        ) from error
    except ValueError as error:
        raise BadSettings([str(error)]) from error
