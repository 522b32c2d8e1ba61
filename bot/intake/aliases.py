"""Lists the aliases under which those whom an item names may be known. Pure."""

from bot.phones import list_phone_variants
from bot.whatsapp.webhook.items import Item
from storage.customers import make_bsuid_alias, make_former_alias, make_given_alias, make_phone_alias


def list_phone_aliases(phone: str) -> list[str]:
    """Lists the phone as it was named, then the other form of a Brazilian, Mexican or Argentinian number: Meta uses
    both."""
    return [make_phone_alias(form) for form in list_phone_variants(phone)] if phone else []


def list_given_aliases(phone: str) -> list[str]:
    """Lists the same for a number that a customer gave."""
    return [make_given_alias(form) for form in list_phone_variants(phone)] if phone else []


def list_bsuid_aliases(bsuid: str) -> list[str]:
    """Lists the user id as somebody's present one, then as a former one."""
    return [make_bsuid_alias(bsuid), make_former_alias(bsuid)] if bsuid else []


def list_lookup_aliases(item: Item) -> list[str]:
    """Lists the aliases that must have been looked up before `item` is settled."""
    phones, bsuids = [item.given_phone], []
    if item.customer:
        phones.append(item.customer.phone)
        bsuids.append(item.customer.bsuid)
    if change := item.address_change:
        phones += (change.old_phone, change.new_phone)
        bsuids += (change.old_bsuid, change.new_bsuid)
    return [
        *(alias for phone in phones for alias in (*list_phone_aliases(phone), *list_given_aliases(phone))),
        *(alias for bsuid in bsuids for alias in list_bsuid_aliases(bsuid)),
    ]
