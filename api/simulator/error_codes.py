"""Lists Meta's error codes: the title, the details, and the HTTP status that each of them usually comes with.

Data alone; what a code means for the service is not the simulator's business. Source: Meta's page of error codes of the
Cloud API.
"""

from typing import Final

UNKNOWN: Final = ("Unknown error", "No description is kept for this code.")

ERRORS: Final[dict[int, tuple[str, str]]] = {
    0: ("AuthException", "We were unable to authenticate the app user."),
    1: ("API Unknown", "Invalid request or possible server error."),
    2: ("API Service", "Temporary due to downtime or due to being overloaded."),
    3: ("API Method", "Capability or permissions issue."),
    4: ("Application request limit reached", "The app has reached its API call rate limit."),
    10: ("Application does not have permission for this action", "Permission is either not granted or was removed."),
    15: ("This method must be called with an app access_token.", "An app access token is needed."),
    33: ("Parameter value is not valid", "The business phone number has been deleted."),
    100: ("Invalid parameter", "The request included one or more unsupported or misspelled parameters."),
    104: ("Access token or appsecret_proof required", "API calls from the server require an appsecret_proof argument."),
    190: ("Access token has expired", "Your access token has expired."),
    200: ("Permissions error", "Permission is either not granted or was removed."),
    368: ("Temporarily blocked for policies violations", "The account was restricted for violating a policy."),
    80007: ("Rate limit issues", "The WhatsApp Business Account has reached its rate limit."),
    130403: ("Business blocked user", "This business has blocked the end user on WhatsApp."),
    130429: ("Rate limit hit", "Cloud API message throughput has been reached."),
    130472: ("User's number is part of an experiment", "Message was not sent as part of an experiment."),
    130497: ("Business account is restricted from messaging users in this country.", "This country is restricted."),
    131000: ("Something went wrong", "Message failed to send due to an unknown error."),
    131005: ("Access denied", "Permission is either not granted or was removed."),
    131008: ("Required parameter is missing", "The request is missing a required parameter."),
    131009: ("Parameter value is not valid", "One or more parameter values are invalid."),
    131016: ("Service unavailable", "A service is temporarily unavailable."),
    131021: ("Recipient cannot be sender", "Sender and recipient phone number is the same."),
    131026: ("Message undeliverable", "Message Undeliverable."),
    131030: ("Recipient phone number not in allowed list", "Add the recipient to the recipient list and try again."),
    131031: ("Account has been locked", "The account was restricted or disabled for violating a policy."),
    131037: ("Display name approval is needed before messages can be sent.", "The display name is not approved."),
    131042: ("Business eligibility payment issue", "There was an error related to your payment method."),
    131045: ("Incorrect certificate", "Message failed to send due to a phone number registration error."),
    131047: (
        "Re-engagement message",
        "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
    ),
    131048: ("Spam rate limit hit", "There are restrictions on how many messages this number can send."),
    131049: ("This message was not delivered to maintain healthy ecosystem engagement.", "It was not delivered."),
    131050: ("User has stopped marketing messages", "The recipient has chosen to stop marketing messages."),
    131051: ("Unsupported message type", "Unsupported message type."),
    131052: ("Media download error", "Unable to download the media sent by the user."),
    131053: ("Media upload error", "Unable to upload the media used in the message."),
    131056: (
        "(Business Account, Consumer Account) pair rate limit hit",
        "Too many messages were sent from this phone number to the same phone number in a short period of time.",
    ),
    131057: ("Account in maintenance mode", "Business Account is in maintenance mode"),
    131060: ("This message is currently unavailable", "This message is currently unavailable."),
    131062: ("Business-scoped User ID (BSUID) recipients are not supported for this message.", "It needs a number."),
    131063: ("Marketing templates disabled", "Marketing templates are disabled for this configuration."),
    131064: ("Messaging limit reached", "The limit was reached due to template classification violations."),
    132000: ("Number of parameters does not match the expected number of params", "The number does not match."),
    132001: ("Template name does not exist in the translation", "The template does not exist in this language."),
    132005: ("Translated text too long", "Translated text is too long."),
    132007: ("Template format character policy violated", "Template content violates a WhatsApp policy."),
    132008: ("Parameter validation failed", "A template parameter failed validation."),
    132012: ("Parameter format does not match format in the created template", "A parameter is formatted wrongly."),
    132015: ("Template is paused", "Template is paused due to low quality so it cannot be sent."),
    132016: ("Template is disabled", "Template was paused too many times and is now permanently disabled."),
    132018: ("There is a problem with the template parameters", "Param text cannot have new-line/tab characters."),
    133000: ("Incomplete deregistration", "A previous deregistration attempt failed."),
    133004: ("Server temporarily unavailable", "Server is temporarily unavailable."),
    133005: ("Two step verification PIN mismatch", "Two-step verification PIN incorrect."),
    133006: ("Phone number re-verification needed", "The phone number needs to be verified before registering."),
    133008: ("Too many two step verification PIN guesses", "Too many PIN guesses for this phone number."),
    133009: ("Two step verification PIN guessed too fast", "The PIN was entered too quickly."),
    133010: ("Phone number not registered", "Phone number not registered on the WhatsApp Business Platform."),
    133015: ("Please wait a few minutes before registering", "The phone number was deleted too recently."),
    133016: ("Account register deregister rate limit exceeded", "There were too many attempts for this number."),
    134011: ("Payments terms of service not accepted", "The terms of service have not been accepted."),
    135000: ("Generic user error", "Message failed to send because of an unknown error with your request parameters."),
    137000: ("Recipient identity key hash mismatch", "The recipient's identity key has changed."),
    2494100: ("Phone number is in maintenance", "The phone number is in maintenance."),
}

HTTP_STATUSES: Final = {
    0: 401, 190: 401,
    3: 403, 10: 403, 200: 403, 368: 403, 130497: 403, 131005: 403, 131031: 403,
    132001: 404,
    4: 429, 80007: 429, 130429: 429, 131056: 429, 133016: 429,
    1: 500, 2: 500, 131000: 500,
    131016: 503, 133004: 503,
}  # fmt: skip
TRANSIENT_CODES: Final = frozenset({1, 2, 131016, 133004})


def get_title(code: int) -> str:
    """Returns the title of a code, as Meta writes it."""
    return ERRORS.get(code, UNKNOWN)[0]


def get_details(code: int) -> str:
    """Returns the details that Meta most often gives with a code."""
    return ERRORS.get(code, UNKNOWN)[1]


def get_http_status(code: int) -> int:
    """Returns the HTTP status that most often comes with a code."""
    return HTTP_STATUSES.get(code, 400)
