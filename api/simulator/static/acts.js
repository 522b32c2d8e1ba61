// What a customer can do with one message, and with themselves: the menus behind the three dots.

import { mine } from "./bubbles.js";
import * as server from "./server.js";
import { openMenu } from "./sheet.js";

const REACTIONS = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
const EDITABLE = ["text", "image", "video", "document"];

export function openMessageMenu(phone, message) {
  const things = [{ label: "Reply", icon: "reply", act: () => phone.quoteMessage(message) }];
  if (mine(message) && EDITABLE.includes(message.kind)) {
    things.push({ label: "Edit", icon: "edit", act: () => phone.composer.editMessage(message) });
  }
  if (mine(message)) {
    const act = () => phone.attempt(() => server.revoke(phone.number, message.wamid));
    things.push({ label: "Delete for everyone", icon: "gone", act });
  }
  const act = (emoji) => phone.attempt(() => server.react(phone.number, message.wamid, emoji));
  openMenu(phone.chat, "Message", things, { all: REACTIONS, chosen: message.reactions.customer, act });
}

export function openIdentityMenu(phone) {
  const change = (label, icon, wanted) => ({
    label,
    icon,
    act: () => phone.attempt(() => server.changeIdentity(phone.number, wanted)),
  });
  const things = [
    change("Show the phone number", "person", { shows: "phone" }),
    change("Hide the phone number", "gone", { shows: "user_id" }),
    change("Move to another number", "edit", { phone: "" }),
  ];
  if (phone.customer.shows === "user_id") things.push(change("Get another user id", "edit", { user_id: "new" }));
  things.push({ label: `Remove ${phone.name} …`, icon: "close", act: () => askBeforeRemoving(phone) });
  openMenu(phone.frame, `What ${phone.name} shows`, things);
  phone.frame.scrollIntoView({ block: "nearest" });
}

function askBeforeRemoving(phone) {
  const act = () => phone.attempt(() => server.removeCustomer(phone.number));
  openMenu(phone.frame, `Remove ${phone.name}?`, [
    { label: "Remove, with the whole chat", icon: "close", act },
    { label: "Keep", icon: "back", act: () => {} },
  ]);
}
