// The types of the rules, as `andiron types --lang ts` prints them.

/** Bytes: base64 of the standard alphabet, padded. */
export interface Bytes {
  readonly $bytes: string;
}

/** A place: latitude and longitude in degrees. */
export interface GeoPoint {
  readonly $geo: [latitude: number, longitude: number];
}

/** A document: its path. */
export interface Reference {
  readonly $ref: string;
}

/** A moment: RFC 3339, with up to six digits of fraction. */
export interface Timestamp {
  readonly $time: string;
}

/**
 * A thing that is sold.
 *
 * It has a price in each currency.
 */
export interface Product {
  /** Where `size() > 0 && size() <= 120`. */
  title: string;
  /**
   * What people search for.
   * Where `size() <= 10`.
   */
  tags: string[];
  prices: { [key: string]: number };
  kind: "book" | "game" | "gift card";
  /** Where `this >= 0 && this < 1000000`. */
  stock: number;
  weight?: number | null;
  size?: {
    width: number;
    height: number;
    depth?: number;
  };
  addedBy: Reference;
  addedAt: Timestamp;
  image?: Bytes;
  shop?: GeoPoint | string;
  "is-new"?: boolean;
  type?: 1 | 2 | 3;
}

export type Rating = 1 | 2 | 3 | 4 | 5;

export type Status = "open" | "paid" | "sent";

export type Note = string | null;

/** What somebody buys. */
export interface Order {
  items: {
    product: Reference;
    count: number;
    note?: Note;
  }[];
  status: Status | null;
  history: Status[];
  total: number;
  rating?: Rating;
  parent?: Order;
  extra: unknown;
  address: Address | string;
  [field: string]: unknown;
}

export interface Address {
  street: string;
  city: string;
  where?: { [key: string]: unknown };
}

export interface Tree {
  value: number;
  children: Tree[];
  left?: Tree | null;
}

export type Everything = { [key: string]: string[] };

/** What the documents of each collection hold. */
export interface Collections {
  "config/main": Everything;
  "products": Product;
  "users/{uid}/orders": Order;
  "{path=**}/trees": Tree;
}
