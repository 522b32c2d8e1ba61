// The page: a phone for each customer, kept up to date by the server's events.
// Each time the stream opens everything is read anew, so nothing is missed while it was away.

import { openPanel } from "./meta.js";
import { Phone } from "./phone.js";
import * as server from "./server.js";

const place = document.getElementById("phones");
const offline = document.getElementById("offline");
const phones = new Map();
let business = { name: "Business" };

function show(customer) {
  const moved = phones.get(customer.before);
  if (moved) {
    phones.delete(customer.before);
    phones.set(customer.phone, moved);
  }
  const known = phones.get(customer.phone);
  if (known) {
    known.identify(customer);
    for (const message of customer.messages) known.put(message);
    return;
  }
  const phone = new Phone(customer, business);
  phones.set(customer.phone, phone);
  place.append(phone.node);
  phone.scrollToEnd();
}

function remove(number) {
  phones.get(number)?.node.remove();
  phones.delete(number);
  sessionStorage.removeItem(`left:${number}`);
}

async function readAll() {
  const chats = await server.readChats();
  business = chats.business;
  const there = new Set(chats.customers.map((customer) => customer.phone));
  for (const number of [...phones.keys()]) if (!there.has(number)) remove(number);
  for (const customer of chats.customers) show(customer);
}

function listen() {
  const events = new EventSource("/simulator/events");
  const on = (kind, act) => events.addEventListener(kind, (event) => act(JSON.parse(event.data)));
  on("hello", () => {
    offline.hidden = true;
    readAll().catch(() => {
      offline.hidden = false;
    });
  });
  on("customer", show);
  on("gone", ({ phone }) => remove(phone));
  on("started-over", () => location.reload());
  on("message", (message) => phones.get(message.phone)?.put(message));
  on("typing", ({ phone }) => phones.get(phone)?.showTyping(true));
  events.addEventListener("error", () => {
    offline.hidden = false;
    if (events.readyState !== EventSource.CLOSED) return;
    setTimeout(listen, 1000);
  });
}

document.addEventListener("visibilitychange", () => {
  for (const phone of phones.values()) phone.readWhatArrived();
});

const newcomer = document.getElementById("newcomer");
const complaint = document.getElementById("newcomer-complaint");
const form = document.getElementById("newcomer-form");

document.getElementById("add-customer").addEventListener("click", () => {
  complaint.textContent = "";
  form.reset();
  newcomer.showModal();
});
document.getElementById("newcomer-cancel").addEventListener("click", () => newcomer.close());
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { name, phone, shows } = form.elements;
    const customer = await server.addCustomer({ name: name.value, phone: phone.value, shows: shows.value });
    show(customer);
    newcomer.close();
    phones.get(customer.phone).node.scrollIntoView({ behavior: "smooth" });
  } catch (error) {
    complaint.textContent = error.message;
  }
});

openPanel(() => [...phones.values()]);
listen();
