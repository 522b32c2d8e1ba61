"""Lists the fields that a webhook can have, by what each is to us.

A field is one thing that an app subscribes to at Meta. What is in no list here is kept, and counted as unknown.

Source: Meta, webhooks/overview (the fields) and standby.
"""

# Fields whose value holds lists of messages, statuses or echoes, each with the keys of the lists that count.
CHATS = {
    "messages": ("messages", "statuses"),
    "standby": ("messages", "statuses", "message_echoes"),  # while an agent of Meta's leads the chat
    "smb_message_echoes": ("message_echoes",),
}
HANDOVERS = "messaging_handovers"
USER_IDS = "user_id_update"

# Updates about our account, number and templates: they have no customer.
ACCOUNT = frozenset(
    (
        "account_alerts",
        "account_review_update",
        "account_settings_update",
        "account_update",
        "business_capability_update",
        "message_template_components_update",
        "message_template_quality_update",
        "message_template_status_update",
        "phone_number_name_update",
        "phone_number_quality_update",
        "security",
        "template_category_update",
    )
)

# `message_echoes` repeats what we sent ourselves. Preferences are about marketing, which we don't send.
NOT_USED = frozenset(
    (
        "automatic_events",
        "business_status_update",
        "business_username_updates",
        "calls",
        "flows",
        "group_lifecycle_update",
        "group_participants_update",
        "group_settings_update",
        "group_status_update",
        "history",
        "message_echoes",
        "partner_solutions",
        "payment_configuration_update",
        "smb_app_state_sync",
        "template_correct_category_detection",
        "tracking_events",
        "user_preferences",
    )
)
