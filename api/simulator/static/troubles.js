// The faults that the panel offers, as the API wants them. `code: null` asks for a number.

export const TROUBLES = [
  ["Sending", [
    ["Too fast for this customer (131056)", { then: "code", where: "send", code: 131056 }],
    ["Too fast in all (130429)", { then: "code", where: "send", code: 130429 }],
    ["Something went wrong (131000)", { then: "code", where: "send", code: 131000 }],
    ["Token expired (190)", { then: "code", code: 190 }],
    ["Account locked (131031)", { then: "code", where: "send", code: 131031 }],
    ["Another error code", { then: "code", where: "send", code: null }],
    ["Accepted, fails later: undeliverable (131026)", { then: "fails", where: "send", code: 131026 }],
    ["Accepted, fails later: window closed (131047)", { then: "fails", where: "send", code: 131047 }],
    ["Accepted, fails later: another code", { then: "fails", where: "send", code: null }],
  ]],
  ["The connection", [
    ["429, wait 5 seconds", { then: "status", where: "send", status: 429, retry_after_seconds: 5 }],
    ["503 without a body", { then: "empty", where: "send", status: 503 }],
    ["502 with a page of HTML", { then: "html", where: "send" }],
    ["No answer, not accepted", { then: "timeout_before", where: "send" }],
    ["No answer, but accepted", { then: "timeout_after", where: "send" }],
    ["Cut, not accepted", { then: "cut", where: "send" }],
    ["Cut, but accepted", { then: "cut_after", where: "send" }],
    ["500, but accepted (131000)", { then: "code_after", where: "send", code: 131000, status: 500 }],
  ]],
  ["Files", [
    ["The file is gone (404)", { then: "empty", where: "download", status: 404 }],
    ["The download is cut", { then: "cut", where: "download" }],
    ["The bytes are wrong", { then: "garbled", where: "download" }],
    ["The upload fails (131053)", { then: "code", where: "upload", code: 131053 }],
  ]],
  ["Webhooks", [
    ["Come twice", { then: "duplicate", where: "webhook" }],
    ["Overtake each other", { then: "reorder", where: "webhook" }],
    ["Come 10 seconds late", { then: "late", where: "webhook", delay_seconds: 10 }],
    ["Get lost until this is removed", { then: "lost", where: "webhook" }],
    ["Statuses come 10 seconds late", { then: "late", where: "statuses", delay_seconds: 10 }],
    ["Statuses get lost until this is removed", { then: "lost", where: "statuses" }],
  ]],
];

export const NEWS = [
  ["template_paused", "A template is paused"],
  ["template_approved", "The template is approved again"],
  ["quality_red", "Quality is red"],
  ["quality_green", "Quality is green again"],
  ["account_restricted", "The account is restricted"],
  ["account_unrestricted", "The restriction is lifted"],
  ["account_banned", "The account is banned"],
  ["account_reinstated", "The ban is lifted"],
  ["echo", "Answered in the Business app"],
  ["handover", "Meta's agent hands over"],
  ["standby", "They write to Meta's agent"],
];

export function nameOf(fault) {
  const same = ([, wanted]) =>
    Object.entries(wanted).every(([key, value]) => value === null || fault[key] === value);
  const found = TROUBLES.flatMap(([, troubles]) => troubles).find(same);
  const name = found ? found[0] : `${fault.then} ${fault.where}`;
  return fault.code && !name.includes(String(fault.code)) ? `${name} (${fault.code})` : name;
}
