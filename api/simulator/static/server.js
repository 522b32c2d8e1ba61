// The calls behind the page. Each answers with the data, or throws an Error that can be shown.

const BASE = "/simulator/api";

async function call(path, options) {
  let response;
  try {
    response = await fetch(BASE + path, options);
  } catch {
    throw new Error("The service can't be reached.");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.message ?? `The service answered ${response.status}.`);
  return answer.data;
}

function post(path, data) {
  return call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) });
}

const about = (phone, wamid) => `/customers/${phone}/messages/${encodeURIComponent(wamid)}`;

export const readChats = () => call("/chats", {});
export const addCustomer = (who) => post("/customers", who);
export const changeIdentity = (phone, change) => post(`/customers/${phone}/identity`, change);
export const removeCustomer = (phone) => call(`/customers/${phone}`, { method: "DELETE" });
export const openChat = (phone) => post(`/customers/${phone}/open`, {});
export const sendText = (phone, text, quote) => post(`/customers/${phone}/messages`, { text, quote });
export const sendOption = (phone, wamid, optionId) =>
  post(`/customers/${phone}/messages`, { wamid, option_id: optionId });
export const sendPlace = (phone, location, quote) => post(`/customers/${phone}/messages`, { location, quote });
export const sendCard = (phone, contact, quote) => post(`/customers/${phone}/messages`, { contact, quote });
export const react = (phone, wamid, emoji) => post(`${about(phone, wamid)}/reaction`, { emoji });
export const edit = (phone, wamid, text) => post(`${about(phone, wamid)}/edit`, { text });
export const revoke = (phone, wamid) => post(`${about(phone, wamid)}/revoke`, {});

export function sendFile(phone, file, caption, quote, kind = "") {
  const form = new FormData();
  form.append("caption", caption);
  form.append("quote", quote);
  form.append("kind", kind);
  form.append("file", file, file.name);
  return call(`/customers/${phone}/files`, { method: "POST", body: form });
}

// A file that comes with the page, sent as if the phone had made it.
export async function sendSample(phone, name, kind, mimeType, quote) {
  const sample = await fetch(`/simulator/static/${name}`);
  return sendFile(phone, new File([await sample.blob()], name, { type: mimeType }), "", quote, kind);
}

export const fileAddress = (mediaId) => `${BASE}/files/${encodeURIComponent(mediaId)}`;

export const readFaults = () => call("/faults", {});
export const addFault = (fault) => post("/faults", fault);
export const removeFault = (faultId) => call(`/faults/${faultId}`, { method: "DELETE" });
export const readClock = () => call("/clock", {});
export const letPass = (seconds) => post("/clock", { advance_seconds: seconds });
export const startOver = () => post("/start-over", {});
export const tellNews = (what, phone) => post("/news", { what, phone });
