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
    change("Show the phone number alone", "person", { shows: "phone" }),
    change("Show a user id alone, no phone", "gone", { shows: "user_id" }),
    change("Show both", "check", { shows: "both" }),
    change("Move to another number", "edit", { phone: "" }),
  ];
  if (phone.customer.user_id) things.push(change("Get another user id", "edit", { user_id: "new" }));
  openMenu(phone.frame, `What ${phone.name} shows`, things);
  phone.frame.scrollIntoView({ block: "nearest" });
}
