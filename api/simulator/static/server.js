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

export const readChats = () => call("/chats", {});
export const addCustomer = (name, phone) => post("/customers", { name, phone });
export const openChat = (phone) => post(`/customers/${phone}/open`, {});
export const sendText = (phone, text, quote) => post(`/customers/${phone}/messages`, { text, quote });
export const sendOption = (phone, wamid, optionId) =>
  post(`/customers/${phone}/messages`, { wamid, option_id: optionId });

export function sendFile(phone, file, caption, quote) {
  const form = new FormData();
  form.append("caption", caption);
  form.append("quote", quote);
  form.append("file", file, file.name);
  return call(`/customers/${phone}/files`, { method: "POST", body: form });
}

export const fileAddress = (mediaId) => `${BASE}/files/${encodeURIComponent(mediaId)}`;
